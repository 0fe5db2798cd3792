// Hyper-parameters of the best trials as parallel coordinates; axes are added, removed and put into another order.
import { board } from "./board.js";
import * as address from "./address.js";
import { Ranking } from "./budget.js";
import { base, Chart, colors, fill, select } from "./chart.js";
import { el, isFigure, number } from "./format.js";

const MOST = 2000; // lines that are drawn
const FULL = 500; // trials up to which all of them are shown at first
const SHARES = [1, 5, 10, 20, 50, 100];
const LOG = new Set(["loguniform", "qloguniform", "lognormal", "qlognormal"]);

export class Parallel extends Chart {
  constructor(host, props) {
    super(host, "Hyper-parameters");
    this.props = props;
    this.key = address.get("key", "default");
    this.share = Number(address.get("share", "0"));
    this.log = new Set(address.getAll("logaxes"));
    this.shares = select("How many of the best trials", [], this.share, (value) => this.choose({ share: Number(value) }));
    this.keys = select("Which metric", [], this.key, (value) => this.choose({ key: value }));
    this.add = select("Add an axis", [], "", (value) => this.choose({ axes: [...this.axes, value] }));
    this.count = el("span", { class: "hint", role: "status" });
    this.chips = el("div", { class: "chips axes", role: "list", "aria-label": "Axes, in their order" });
    this.tools.append(this.shares, this.keys, this.add, this.count);
    this.exports(() => [["trial", "id", ...this.axes, this.key], ...this.lines().map((line) => [line.trial.seq, line.trial.id, ...line.values])]);
    host.insertBefore(this.chips, this.canvas);
  }

  choose(change) {
    Object.assign(this, change);
    const all = this.axes && this.axes.join() === this.numerous().join();
    address.set({ axes: all ? "" : this.axes, share: this.share || "", key: this.key === "default" ? "" : this.key, logaxes: [...this.log] });
    this.update();
  }

  // Constant parameters say nothing; all others are axes at first.
  numerous() {
    return board.parameters.slice(0, 12);
  }

  type(name) {
    const node = (this.props.searchSpace ?? {})[name];
    if (node?._type === "choice") return "category";
    const place = board.parameters.indexOf(name);
    for (const trial of board.trials.values()) {
      const value = trial.p[place];
      if (value !== undefined && value !== null && !isFigure(value)) return "category";
    }
    return "value";
  }

  ranked() {
    const ranking = new Ranking(this.props);
    return [...board.trials.values()]
      .map((trial) => ({ trial, value: board.value(trial, this.key) }))
      .filter((item) => item.value !== null)
      .sort((a, b) => ranking.compare(a, b));
  }

  lines() {
    const ranked = this.ranked();
    const share = this.share || (ranked.length > FULL ? Math.max(1, Math.round((100 * FULL) / ranked.length)) : 100);
    const wanted = Math.max(1, Math.ceil((ranked.length * share) / 100));
    const places = this.axes.map((name) => board.parameters.indexOf(name));
    this.wanted = wanted;
    this.shown = share;
    this.of = ranked.length;
    return ranked.slice(0, Math.min(wanted, MOST)).map(({ trial, value }) => ({
      trial,
      values: [...places.map((place) => trial.p[place] ?? null), value],
    }));
  }

  update() {
    if (!this.axes) {
      const asked = address.getAll("axes");
      this.axes = asked.length ? asked : this.numerous();
    }
    if (!this.axes.length) this.axes = this.numerous();
    this.axes = this.axes.filter((name) => board.parameters.includes(name) || !board.loaded);
    const lines = this.lines();
    fill(this.keys, [["default", "default"], ...board.metrics.map((name) => [name])], this.key);
    this.keys.hidden = !board.metrics.length;
    fill(this.shares, SHARES.concat(SHARES.includes(this.shown) ? [] : [this.shown]).sort((a, b) => a - b).map((value) => [value, value === 100 ? "All trials" : `Top ${value} %`]), this.shown);
    const others = board.parameters.filter((name) => !this.axes.includes(name));
    fill(this.add, [["", "Add axis …"], ...others.map((name) => [name])], "");
    this.add.hidden = !others.length;
    this.count.textContent = this.of ? `${lines.length} of ${this.of} trials${lines.length < this.wanted ? `, the best ${MOST}` : ""}` : "";
    this.drawChips();
    if (!lines.length) {
      this.say(board.loaded ? "No trial with this metric yet." : "Loading …");
      return;
    }
    this.say();
    this.draw(this.option_(lines), true);
  }

  option_(lines) {
    const c = colors();
    const types = this.axes.map((name) => this.type(name));
    const common = (place) => ({
      dim: place,
      nameTextStyle: { color: c.text, fontSize: 11, align: place === 0 ? "left" : "center" },
      nameTruncate: { maxWidth: 130, ellipsis: "…" },
      axisLine: { lineStyle: { color: c.muted } },
      axisLabel: { color: c.text, fontSize: 11, overflow: "truncate", width: 80, formatter: (value) => (typeof value === "number" ? number(value) : String(value)) },
      areaSelectStyle: { color: c.accent, opacity: 0.25, borderColor: c.accent },
    });
    const axes = this.axes.map((name, place) => {
      if (types[place] === "category") {
        const known = [...new Set(lines.map((line) => String(line.values[place] ?? "")).filter(Boolean))].sort((a, b) => Number(a) - Number(b) || a.localeCompare(b));
        return { ...common(place), name, type: "category", data: known };
      }
      const positive = lines.every((line) => typeof line.values[place] !== "number" || line.values[place] > 0);
      const log = this.isLog(name) && positive;
      const node = (this.props.searchSpace ?? {})[name];
      const known = log && LOG.has(node?._type) && node._type.endsWith("uniform"); // decades would leave half of the axis empty
      return { ...common(place), name, type: log ? "log" : "value", scale: true, ...(known ? { min: node._value[0], max: node._value[1] } : {}) };
    });
    const metrics = lines.map((line) => line.values.at(-1));
    const [low, high] = [Math.min(...metrics), Math.max(...metrics)];
    axes.push({ ...common(this.axes.length), name: this.key === "default" ? "Metric" : this.key, type: "value", scale: true, nameTextStyle: { color: c.text, fontSize: 11, fontWeight: "bold" } });
    const scale = this.props.maximize ? c.scale : [...c.scale].reverse();
    return {
      ...base(),
      parallel: { left: 60, right: 90, top: 40, bottom: 30, axisExpandable: false },
      parallelAxis: axes,
      visualMap: { show: false, dimension: this.axes.length, min: low, max: high === low ? low + 1 : high, inRange: { color: scale } },
      series: [
        {
          type: "parallel",
          data: lines.map((line) => line.values.map((value, place) => (value === null ? "-" : types[place] === "category" ? String(value) : typeof value === "number" ? value : "-"))),
          lineStyle: { width: lines.length > 200 ? 1 : 1.5, opacity: lines.length > 500 ? 0.25 : 0.55 },
          inactiveOpacity: 0.03,
          activeOpacity: 0.9,
          progressive: 500,
        },
      ],
    };
  }

  isLog(name) {
    const natural = LOG.has((this.props.searchSpace ?? {})[name]?._type);
    return this.log.has(name) ? !natural : natural;
  }

  drawChips() {
    const state = JSON.stringify([this.axes, [...this.log]]);
    if (state === this.chipState) return;
    this.chipState = state;
    const move = (from, to) => {
      const axes = [...this.axes];
      axes.splice(Math.max(0, Math.min(axes.length - 1, to)), 0, ...axes.splice(from, 1));
      this.choose({ axes });
      this.chips.children[Math.max(0, Math.min(axes.length - 1, to))]?.focus();
    };
    this.chips.replaceChildren(
      ...this.axes.map((name, place) => {
        const isNumber = this.type(name) === "value";
        return el(
          "span",
          {
            class: "chip axis", role: "listitem", draggable: "true", tabindex: "0", title: "Drag, or use the arrow keys, to move this axis",
            ondragstart: (event) => event.dataTransfer.setData("text/plain", String(place)),
            ondragover: (event) => event.preventDefault(),
            ondrop: (event) => (event.preventDefault(), move(Number(event.dataTransfer.getData("text/plain")), place)),
            onkeydown: (event) => {
              if (event.target !== event.currentTarget) return;
              if (event.key === "ArrowLeft") move(place, place - 1);
              if (event.key === "ArrowRight") move(place, place + 1);
              if (event.key === "Delete") this.choose({ axes: this.axes.filter((other) => other !== name) });
            },
          },
          name,
          isNumber && el("button", { type: "button", class: "chip-button", "aria-pressed": this.isLog(name) ? "true" : "false", title: "Logarithmic axis", onclick: () => (this.log.has(name) ? this.log.delete(name) : this.log.add(name), this.choose({})) }, "log"),
          this.axes.length > 1 && el("button", { type: "button", class: "chip-button", "aria-label": `Remove axis ${name}`, title: "Remove this axis", onclick: () => this.choose({ axes: this.axes.filter((other) => other !== name) }) }, "✕"),
        );
      }),
    );
  }
}
