// The best result so far of several experiments on one chart.
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import { axis, base, Chart, colors, select, tooltip, zoom } from "nni-page/chart.js";
import { el, number } from "nni-page/format.js";

// Told apart by colour (Okabe and Ito) and by dashes.
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a57c00", "#56b4e9", "#7f5fc4", "#666666"];
const DASHES = ["solid", "dashed", "dotted"];
const MOST = 8;

export default {
  template: '<div class="charts"></div>',
  props: { experiment: String },
  mounted() {
    this.chosen = new Set(address.getAll("ids"));
    if (!this.chosen.size) this.chosen.add(this.experiment);
    this.by = address.get("by", "trial");
    this.list = el("div", { class: "chips choose", role: "group", "aria-label": "Experiments" });
    this.$el.append(el("div", { class: "card-head" }, el("h2", {}, "Compare experiments"), el("span", { class: "hint" }, `Up to ${MOST}: the best result so far of each`)), this.list);
    this.host = el("div", { class: "chart-host" });
    this.table = el("div", { class: "scroll" });
    this.$el.append(this.host, this.table);
    this.chart = new Chart(this.host, "Best result so far");
    this.chart.tools.append(select("Over", [["trial", "over trials"], ["time", "over time"]], this.by, (value) => ((this.by = value), this.draw())));
    this.chart.exports(() => [["experiment", "trial", "seconds", "best"], ...this.shown().flatMap((item) => item.best.map((point) => [item.id, ...point]))]);
    this.theme = new MutationObserver(() => this.draw());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.found = new Map();
    this.load();
  },
  unmounted() {
    this.theme.disconnect();
    this.chart.dispose();
  },
  methods: {
    async load() {
      try {
        this.items = (await board.json("/experiments-info")).sort((a, b) => (b.startTime || 0) - (a.startTime || 0));
      } catch (error) {
        this.chart.say(error.message);
        return;
      }
      this.list.replaceChildren(
        ...this.items.map((item) =>
          el("button", { type: "button", class: "chip", "aria-pressed": String(this.chosen.has(item.id)), onclick: (event) => this.toggle(item.id, event.currentTarget) }, `${item.experimentName || "–"} ${item.id}`),
        ),
      );
      await this.fetch();
    },
    toggle(id, chip) {
      if (!this.chosen.delete(id) && this.chosen.size < MOST) this.chosen.add(id);
      chip.setAttribute("aria-pressed", String(this.chosen.has(id)));
      address.set({ ids: [...this.chosen] });
      this.fetch();
    },
    async fetch() {
      await Promise.all(
        [...this.chosen].map(async (id) => {
          if (this.found.has(id)) return;
          try {
            this.found.set(id, await board.json(`/experiments/${encodeURIComponent(id)}/history`));
          } catch (error) {
            this.found.set(id, { id, name: id, best: [], trials: 0, fault: error.message });
          }
        }),
      );
      this.draw();
    },
    shown() {
      return [...this.chosen].map((id) => this.found.get(id)).filter(Boolean);
    },
    draw() {
      address.set({ by: this.by === "trial" ? "" : this.by });
      const shown = this.shown();
      this.table.replaceChildren(this.summary(shown));
      if (!shown.some((item) => item.best.length)) {
        this.chart.say(this.chosen.size ? "The chosen experiments have no results yet." : "Choose some experiments above.");
        return;
      }
      this.chart.say();
      const c = colors();
      const place = this.by === "trial" ? 0 : 1;
      this.chart.draw({
        ...base(),
        legend: { top: 0, right: 8, type: "scroll", textStyle: { color: c.text } },
        tooltip: tooltip((item) => el("div", { class: "tip" }, el("div", { class: "tip-head" }, item.seriesName), `Best so far ${number(item.value[1])}`)),
        xAxis: axis(this.by === "trial" ? "Trial" : "Seconds since the start", { type: "value", nameLocation: "middle", nameGap: 26 }),
        yAxis: axis("Best metric", { type: "value", scale: true, nameTextStyle: { align: "left", color: c.muted } }),
        dataZoom: zoom(),
        series: shown.map((item, at) => ({
          type: "line", name: `${item.name || "–"} ${item.id}`, step: "end", showSymbol: item.best.length < 40, data: item.best.map((point) => [point[place], point[2]]),
          itemStyle: { color: COLORS[at % COLORS.length] }, lineStyle: { width: 2, type: DASHES[Math.floor(at / 3) % DASHES.length] },
        })),
      });
    },
    summary(shown) {
      const row = (item) => el("tr", {}, el("td", { class: "strong" }, item.name || "–"), el("td", { class: "mono" }, item.id), el("td", {}, item.fault ?? number(item.best.at(-1)?.[2])), el("td", {}, String(item.trials)), el("td", {}, item.tuner ?? ""), el("td", {}, item.maximize === undefined ? "" : item.maximize ? "maximize" : "minimize"));
      return el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...["Name", "ID", "Best metric", "Trials", "Tuner", "Mode"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...shown.map(row)));
    },
  },
};
