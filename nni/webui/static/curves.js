// Intermediate results of the best and of running trials as curves, with a filter on the value at one of their steps.
import { board } from "./board.js";
import * as address from "./address.js";
import { mix } from "./colors.js";
import { axis, base, Chart, colors, fill, select, tooltip, zoom } from "./chart.js";
import { el, number } from "./format.js";

// Few curves are told apart by colour (Okabe and Ito), many by rank.
const FEW = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a57c00", "#56b4e9", "#7f5fc4", "#8c8c8c"];
const TOPS = [10, 20, 50, 100, 200, 500];

export class Curves extends Chart {
  constructor(host, props) {
    super(host, "Intermediate results");
    this.props = props;
    this.top = Number(address.get("top", "50"));
    this.key = address.get("ikey", "default");
    this.curves = [];
    const field = (name, label, value, more = {}) => el("input", { type: "number", class: "short", placeholder: label, "aria-label": label, title: label, name, value, step: "any", ...more });
    this.step = field("step", "#Intermediate", address.get("istep"), { min: 1, step: 1 });
    this.low = field("low", "Min", address.get("ilow"));
    this.high = field("high", "Max", address.get("ihigh"));
    this.keys = select("Which value", [], this.key, (value) => ((this.key = value), this.filter()));
    this.count = el("span", { class: "hint", role: "status" });
    const form = el(
      "form",
      { class: "inline", onsubmit: (event) => (event.preventDefault(), this.filter()) },
      this.step, this.low, this.high,
      el("button", { class: "button small", type: "submit" }, "Filter"),
      el("button", { class: "button small", type: "button", onclick: () => { this.step.value = this.low.value = this.high.value = ""; this.filter(); } }, "Clear"),
    );
    if (!props.trials) this.tools.append(select("How many curves", TOPS.map((value) => [value, `Best ${value}`]), this.top, (value) => ((this.top = Number(value)), this.filter())));
    this.tools.append(this.keys, form, this.count);
    this.exports(() => [["trial", "id", "intermediate", this.key], ...this.curves.flatMap((curve) => curve.steps.map((step, place) => [curve.sequence, curve.id, step + 1, curve.values[place]]))]);
    this.chart.on("click", (event) => props.open?.(this.curves[event.seriesIndex]?.id));
  }

  filter() {
    address.set({ top: this.top === 50 ? "" : this.top, ikey: this.key === "default" ? "" : this.key, istep: this.step.value, ilow: this.low.value, ihigh: this.high.value });
    this.update();
  }

  async update() {
    const query = new URLSearchParams({ top: this.top, key: this.key });
    for (const trial of this.props.trials ?? []) query.append("trials", trial);
    if (this.step.value) {
      query.set("step", Math.max(0, Number(this.step.value) - 1));
      if (this.low.value) query.set("low", this.low.value);
      if (this.high.value) query.set("high", this.high.value);
    }
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let found;
    if (!this.curves.length) this.say("Loading …");
    try {
      found = await board.json(`/curves?${query}`);
    } catch (error) {
      this.say(error.message);
      return;
    }
    if (turn !== this.turn || this.chart.isDisposed()) return;
    this.curves = found.curves.filter((curve) => curve.steps.length);
    this.keys.hidden = found.keys.length < 2;
    fill(this.keys, found.keys.map((name) => [name]), this.key);
    this.count.textContent = found.matching === null ? "" : `${this.curves.length} of ${found.matching} matching`;
    if (!this.curves.length) {
      this.say(found.matching === null ? "No intermediate result yet. Trials that call nni.report_intermediate_result appear here." : "No trial has such a value at this step.");
      return;
    }
    this.say();
    this.draw(this.option_(), true);
  }

  option_() {
    const c = colors();
    const many = this.curves.length > FEW.length;
    const tint = (place) => (many ? ranked(place) : FEW[place]);
    const ranked = (place) => mix(c.scale, 1 - place / Math.max(1, this.curves.length - 1));
    return {
      ...base(),
      legend: many ? { show: false } : { top: 0, right: 8, type: "scroll", textStyle: { color: c.text } },
      tooltip: tooltip((item) => {
        const curve = this.curves[item.seriesIndex];
        return curve && el("div", { class: "tip" }, el("div", { class: "tip-head" }, `Trial ${curve.sequence} (${curve.id})`), `Intermediate ${item.value[0]}: ${number(item.value[1])}`, el("br"), `Final: ${number(curve.metric) || "–"}`);
      }),
      xAxis: axis("Intermediate", { type: "value", min: 1, minInterval: 1, nameLocation: "middle", nameGap: 26 }),
      yAxis: axis(this.key === "default" ? "Metric" : this.key, { type: "value", scale: true, nameTextStyle: { align: "left", color: c.muted } }),
      dataZoom: zoom(),
      series: this.curves.map((curve, place) => ({
        type: "line",
        name: `Trial ${curve.sequence}`,
        data: curve.steps.map((step, at) => [step + 1, curve.values[at]]),
        symbol: curve.steps.length > 1 ? "none" : "circle",
        triggerLineEvent: true,
        itemStyle: { color: tint(place) },
        lineStyle: { width: many ? 1 : 2, color: tint(place), type: curve.status === "RUNNING" ? "dashed" : "solid" },
        emphasis: { focus: "series", lineStyle: { width: 3 } },
      })),
    };
  }
}
