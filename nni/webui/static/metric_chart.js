// The default metric of all trials over their numbers, with the best so far.
import { board } from "./board.js";
import * as address from "./address.js";
import { Ranking } from "./budget.js";
import { axis, base, Chart, colors, described, fill, select, tooltip, trialAxis, zoom } from "./chart.js";
import { mix } from "./colors.js";
import { check, number } from "./format.js";

const BEST = "Best so far";
const NARROW = 560; // pixels that the legend needs for itself
const LARGE = 2000; // points from which on they are drawn in one stroke

export class MetricChart extends Chart {
  constructor(host, props) {
    super(host, "Default metric");
    this.props = props;
    this.ranking = new Ranking(props);
    this.curve = address.get("curve", "1") === "1";
    this.log = address.get("ylog") === "1";
    this.key = address.get("key", "default");
    this.keys = select("Which metric", [], this.key, (value) => this.choose({ key: value }));
    this.tools.append(
      check("Optimization curve", this.curve, (on) => this.choose({ curve: on })),
      check("Logarithmic", this.log, (on) => this.choose({ log: on })),
      this.keys,
    );
    this.exports(() => [
      ["trial", "id", "status", this.key, "best so far"],
      ...this.rows().map((row) => [row.trial.seq, row.trial.id, row.trial.status, row.value, row.best]),
    ]);
    this.chart.on("click", (event) => event.data?.[2] && props.open?.(event.data[2]));
  }

  choose(change) {
    Object.assign(this, change);
    address.set({ curve: this.curve ? "" : "0", ylog: this.log ? "1" : "", key: this.key === "default" ? "" : this.key });
    this.update();
  }

  rows() {
    const rows = [];
    for (const trial of board.trials.values()) {
      const value = board.value(trial, this.key);
      if (value !== null) rows.push({ trial, value });
    }
    rows.sort((a, b) => a.trial.seq - b.trial.seq);
    return this.ranking.soFar(rows);
  }

  update() {
    this.keys.hidden = !board.metrics.length;
    fill(this.keys, [["default", "default"], ...board.metrics.map((name) => [name])], this.key);
    const rows = this.rows();
    if (!rows.length) {
      this.say(board.loaded ? "No final result yet. Each trial appears here when it reports one." : "Loading …");
      return;
    }
    this.say();
    const c = colors();
    const steps = rows.filter((row, place) => place === 0 || place === rows.length - 1 || row.best !== rows[place - 1].best);
    const positive = rows.every((row) => row.value > 0);
    this.draw({
      ...base(),
      legend: { top: 0, right: 8, type: "scroll", textStyle: { color: c.text } },
      tooltip: tooltip((item) => {
        if (item.seriesName === BEST) return `Best so far: ${number(item.value[1])} (trial ${item.value[0]})`;
        const trial = board.trials.get(item.value[0]);
        return trial && described(trial, board.parameters);
      }),
      xAxis: trialAxis(),
      yAxis: axis(this.chart.getWidth() < NARROW ? "" : this.key === "default" ? "Default metric" : this.key, { type: this.log && positive ? "log" : "value", scale: true, nameTextStyle: { align: "left", color: c.muted } }),
      dataZoom: zoom(),
      series: [
        ...this.groups(rows).map(({ name, shown, color, size }) => ({
          type: "scatter", name, data: shown.map((row) => [row.trial.seq, row.value, row.trial.id]), symbolSize: rows.length > LARGE ? 3 : size, large: rows.length > LARGE, progressive: 0,
          itemStyle: { color, opacity: rows.length > LARGE ? 0.45 : 0.8 }, dimensions: ["x", "y"], encode: { x: 0, y: 1 },
        })),
        ...(this.curve
          ? [{ type: "line", name: BEST, data: steps.map((row) => [row.trial.seq, row.best]), step: "end", symbol: steps.length > 40 ? "none" : "circle", symbolSize: 5, itemStyle: { color: c.second }, lineStyle: { width: 2, color: c.second }, z: 3 }]
          : []),
      ],
    });
  }

  // The points by their budgets, larger ones lighter or darker and larger; all in one where there are none.
  groups(rows) {
    const c = colors();
    const budgets = this.ranking.all(rows.map((row) => row.trial));
    if (!budgets.length) return [{ name: "Trials", shown: rows, color: c.accent, size: 7 }];
    const share = (place) => (budgets.length > 1 ? place / (budgets.length - 1) : 1);
    const rest = rows.filter((row) => this.ranking.budget(row.trial) === null);
    return [
      ...(rest.length ? [{ name: "No budget", shown: rest, color: c.muted, size: 5 }] : []),
      ...budgets.map((budget, place) => ({
        name: `Budget ${number(budget)}`,
        shown: rows.filter((row) => this.ranking.budget(row.trial) === budget),
        color: mix(c.steps, share(place)),
        size: 5 + 5 * share(place),
      })),
    ];
  }
}
