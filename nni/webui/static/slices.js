// Each parameter against the metric, two parameters as a map, and how much each one decided.
import { board } from "./board.js";
import * as address from "./address.js";
import { BUDGET, Ranking } from "./budget.js";
import { axis, base, Chart, colors, described, fill, select, tooltip } from "./chart.js";
import { el, isFigure, number } from "./format.js";

const MOST = 1200; // points of one slice
const ENOUGH = 8; // results of one budget
const CELLS = 36; // of a map, in each direction
const LOG = new Set(["loguniform", "qloguniform", "lognormal", "qlognormal"]);

export class Slices extends Chart {
  constructor(host, props) {
    super(host, "Slices");
    this.props = props;
    this.x = address.get("x");
    this.y = address.get("y");
    this.first = select("Parameter", [], this.x, (value) => this.choose({ x: value, y: value ? this.y : "" }));
    this.second = select("Second parameter", [], this.y, (value) => this.choose({ y: value }));
    this.ranking = new Ranking(props);
    this.budget = address.get("budget");
    this.third = select("Budget", [], this.budget, (value) => this.choose({ budget: value }));
    this.tools.append(this.first, this.second, this.third);
    this.exports(() => [["trial", "id", ...board.parameters, "metric"], ...this.rows().map((trial) => [trial.seq, trial.id, ...board.parameters.map((_, place) => trial.p[place]), trial.metric])]);
    this.chart.on("click", (event) => props.open?.(board.trials.get(event.data?.[2] ?? event.data?.[3])?.id));
    board.json("/importance").then((found) => this.weigh(found.items), () => {});
  }

  weigh(items) {
    this.importance = {};
    for (const item of items) {
      // A variable of a branch is "layer.conv.kernel" there and "layer/kernel" here.
      const parts = item.name.split(".");
      const nested = parts.filter((_, place) => place % 2 === 0).join("/");
      const name = board.parameters.includes(item.name) ? item.name : nested;
      this.importance[name] = Math.max(item.importance, this.importance[name] ?? 0);
    }
    if (!this.chart.isDisposed()) this.update();
  }

  choose(change) {
    Object.assign(this, change);
    address.set({ x: this.x, y: this.y, budget: this.budget });
    this.update();
  }

  rows() {
    const rows = this.ofBudget([...board.trials.values()].filter((trial) => typeof trial.metric === "number"));
    if (rows.length <= MOST) return rows;
    const sign = this.props.maximize ? -1 : 1;
    const best = [...rows].sort((a, b) => sign * (a.metric - b.metric)).slice(0, MOST / 3);
    const every = Math.ceil(rows.length / (MOST - best.length));
    return [...new Set([...best, ...rows.filter((_, place) => place % every === 0)])];
  }

  // Results of several budgets make no common picture: those of the largest that has enough of them, unless chosen.
  ofBudget(trials) {
    const budgets = this.ranking.all(trials);
    this.third.hidden = budgets.length < 2;
    if (budgets.length < 2) return trials;
    const number_ = (budget) => trials.filter((trial) => this.ranking.budget(trial) === budget).length;
    const usual = budgets.filter((budget) => number_(budget) >= ENOUGH).at(-1) ?? "all";
    const shown = this.budget === "" ? usual : this.budget === "all" ? "all" : Number(this.budget);
    fill(this.third, [["all", "All budgets"], ...budgets.map((budget) => [budget, `Budget ${number(budget)}`])], shown);
    return shown === "all" ? trials : trials.filter((trial) => this.ranking.budget(trial) === shown);
  }

  update() {
    const names = board.parameters.filter((name) => !this.props.budgets || name !== BUDGET);
    fill(this.first, [["", "All parameters"], ...names.map((name) => [name])], this.x);
    fill(this.second, [["", "against the metric"], ...names.filter((name) => name !== this.x).map((name) => [name, `and ${name}`])], this.y);
    this.second.hidden = !this.x;
    const rows = this.rows();
    if (!rows.length) {
      this.say(board.loaded ? "No final result yet." : "Loading …");
      return;
    }
    this.say();
    this.draw(this.x && this.y ? this.map(rows) : this.slices(rows, this.x ? [this.x] : this.order(names)), true);
  }

  order(names) {
    const weight = (name) => this.importance?.[name] ?? 0;
    return [...names].sort((a, b) => weight(b) - weight(a)).slice(0, 12);
  }

  kind(name, rows) {
    const place = board.parameters.indexOf(name);
    const node = (this.props.searchSpace ?? {})[name];
    const values = rows.map((trial) => trial.p[place]).filter((value) => value !== undefined && value !== null);
    if (node?._type === "choice" || values.some((value) => !isFigure(value))) {
      const known = [...new Set(values.map(String))].sort((a, b) => Number(a) - Number(b) || a.localeCompare(b));
      return { type: "category", data: known, at: (trial) => (trial.p[place] == null ? null : known.indexOf(String(trial.p[place]))) };
    }
    const log = LOG.has(node?._type) && values.every((value) => typeof value !== "number" || value > 0);
    return { type: log ? "log" : "value", scale: true, at: (trial) => (typeof trial.p[place] === "number" ? trial.p[place] : null) };
  }

  slices(rows, names) {
    const c = colors();
    const wide = Math.min(names.length, this.chart.getWidth() > 900 ? 4 : this.chart.getWidth() > 560 ? 3 : 2);
    const tall = Math.ceil(names.length / wide);
    const cell = (place) => ({ left: `${5 + ((place % wide) * 95) / wide}%`, width: `${95 / wide - 5}%`, top: `${4 + (Math.floor(place / wide) * 96) / tall}%`, height: `${96 / tall - (tall > 1 ? 16 : 20)}%` });
    const kinds = names.map((name) => this.kind(name, rows));
    const weight = (name) => (this.importance?.[name] == null ? "" : `  importance ${(100 * this.importance[name]).toFixed(0)} %`);
    return {
      ...base(),
      grid: names.map((_, place) => cell(place)),
      tooltip: tooltip((item) => {
        const trial = board.trials.get(item.value[2]);
        return trial && described(trial, board.parameters);
      }),
      xAxis: names.map((name, place) => {
        const { at, ...kind } = kinds[place];
        return { ...axis(`${name}${weight(name)}`, kind), gridIndex: place, nameLocation: "middle", nameGap: 24, splitLine: { show: false } };
      }),
      yAxis: names.map((_, place) => ({ ...axis("", { type: "value", scale: true }), gridIndex: place, axisLabel: { color: c.muted, show: place % wide === 0, formatter: number } })),
      series: names.map((name, place) => ({
        type: "scatter", xAxisIndex: place, yAxisIndex: place, symbolSize: rows.length > 500 ? 3 : 6, large: rows.length > 500, largeThreshold: 1, itemStyle: { color: c.accent, opacity: 0.4 },
        data: rows.map((trial) => [kinds[place].at(trial), trial.metric, trial.seq]).filter((point) => point[0] !== null),
      })),
    };
  }

  map(rows) {
    const c = colors();
    const [kx, ky] = [this.kind(this.x, rows), this.kind(this.y, rows)];
    const points = rows.map((trial) => [kx.at(trial), ky.at(trial), trial.metric, trial.seq]).filter((point) => point[0] !== null && point[1] !== null);
    const metrics = points.map((point) => point[2]);
    const scale = this.props.maximize ? c.scale : [...c.scale].reverse();
    const cells = smooth(points, kx, ky);
    const low = Math.min(...metrics);
    const high = Math.max(...metrics);
    const { at: _x, ...xKind } = kx;
    const { at: _y, ...yKind } = ky;
    return {
      ...base(),
      grid: { left: 70, right: 120, top: 34, bottom: 50 },
      tooltip: tooltip((item) => {
        const trial = board.trials.get(item.value[3]);
        return trial ? described(trial, board.parameters) : `about ${number(item.value[2])}`;
      }),
      xAxis: axis(this.x, { ...xKind, nameLocation: "middle", nameGap: 28, splitLine: { show: false } }),
      yAxis: axis(this.y, { ...yKind, splitLine: { show: false }, nameTextStyle: { align: "left", color: c.muted } }),
      visualMap: { right: 8, top: "middle", dimension: 2, min: low, max: high === low ? low + 1 : high, calculable: true, inRange: { color: scale }, textStyle: { color: c.text }, seriesIndex: [0, 1], formatter: number },
      series: [
        { type: "custom", renderItem: (_, api) => patch(api, cells), data: cells.data, encode: { x: 0, y: 1 }, clip: true, z: 1 },
        { type: "scatter", data: points, symbolSize: 5, itemStyle: { borderColor: c.surface, borderWidth: 0.5 }, z: 2 },
      ],
    };
  }
}

// The metric between the points: the mean of all, weighted by nearness.
function smooth(points, kx, ky) {
  const line = (kind, place) => {
    if (kind.type === "category") return { count: kind.data.length, unit: (value) => value / Math.max(1, kind.data.length - 1), at: (cell) => cell, size: 1 };
    const values = points.map((point) => (kind.type === "log" ? Math.log10(point[place]) : point[place]));
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const read = (value) => ((kind.type === "log" ? Math.log10(value) : value) - low) / span;
    const write = (unit) => (kind.type === "log" ? 10 ** (low + unit * span) : low + unit * span);
    return { count: CELLS, unit: read, at: (cell) => write((cell + 0.5) / CELLS), edge: (cell) => write(cell / CELLS) };
  };
  const [x, y] = [line(kx, 0), line(ky, 1)];
  const known = points.map((point) => [x.unit(point[0]), y.unit(point[1]), point[2]]);
  const data = [];
  for (let i = 0; i < x.count; i++) {
    for (let j = 0; j < y.count; j++) {
      const [cx, cy] = [x.unit(x.at(i)), y.unit(y.at(j))];
      let sum = 0;
      let weights = 0;
      for (const [px, py, value] of known) {
        const weight = Math.exp(-((px - cx) ** 2 + (py - cy) ** 2) / 0.008) + 1e-9;
        sum += weight * value;
        weights += weight;
      }
      data.push([x.at(i), y.at(j), sum / weights, null, i, j]);
    }
  }
  return { data, x, y };
}

function patch(api, { x, y }) {
  const [i, j] = [api.value(4), api.value(5)];
  const middle = api.coord([x.at(i), y.at(j)]);
  const band = api.size([1, 1]);
  // A category has a band around its middle, a number lies between the edges of its cell.
  const ends = (line, cell, axis) => {
    if (!line.edge) return [middle[axis] - band[axis] / 2, middle[axis] + band[axis] / 2];
    const at = (side) => (axis === 0 ? api.coord([line.edge(cell + side), y.at(j)]) : api.coord([x.at(i), line.edge(cell + side)]))[axis];
    return [at(0), at(1)];
  };
  const [x0, x1] = ends(x, i, 0).map(Math.round); // whole pixels leave no seams
  const [y0, y1] = ends(y, j, 1).map(Math.round);
  const [from, to] = [[x0, y0], [x1, y1]];
  return {
    type: "rect",
    shape: { x: Math.min(from[0], to[0]), y: Math.min(from[1], to[1]), width: Math.abs(to[0] - from[0]), height: Math.abs(to[1] - from[1]) },
    style: { fill: api.visual("color"), opacity: 0.55 },
  };
}
