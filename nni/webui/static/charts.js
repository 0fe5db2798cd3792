// Tabs of charts over the trials; only the chosen one exists.
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import { el } from "nni-page/format.js";

// Each with how its script is fetched: only that of the chosen tab is.
const TABS = {
  metric: ["Default metric", async () => (await import("nni-page/metric_chart.js")).MetricChart],
  parameters: ["Hyper-parameter", async () => (await import("nni-page/parallel.js")).Parallel],
  duration: ["Trial duration", async () => (await import("nni-page/duration_chart.js")).DurationChart],
  intermediate: ["Intermediate result", async () => (await import("nni-page/curves.js")).Curves],
  slices: ["Slices", async () => (await import("nni-page/slices.js")).Slices],
};
const PAUSE = 2000; // ms between two drawings while trials change

export default {
  template: '<div class="charts"></div>',
  props: { experiment: String, maximize: Boolean, budgets: Boolean, searchSpace: Object, only: String },
  mounted() {
    this.host = el("div", { class: "chart-host", role: "tabpanel" });
    if (this.only) this.$el.append(el("div", { class: "card-head" }, el("h2", {}, TABS[this.only][0])));
    else this.$el.append(this.tabs());
    this.$el.append(this.host);
    this.show(this.only ?? address.get("tab", "metric"));
    this.off = board.on("trials", () => this.later());
    this.theme = new MutationObserver(() => this.show(this.name));
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    board.load();
  },
  unmounted() {
    this.off?.();
    this.theme.disconnect();
    clearTimeout(this.timer);
    this.turn = Infinity;
    this.chart?.dispose();
  },
  methods: {
    tabs() {
      this.buttons = {};
      const list = el("div", { class: "tab-list", role: "tablist", "aria-label": "Charts", onkeydown: (event) => this.key(event) });
      for (const [name, [text]] of Object.entries(TABS)) {
        this.buttons[name] = el("button", { type: "button", class: "tab-button", role: "tab", onclick: () => this.choose(name) }, text);
        list.append(this.buttons[name]);
      }
      return list;
    },
    key(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const names = Object.keys(TABS);
      const next = names[(names.indexOf(this.name) + step + names.length) % names.length];
      this.choose(next);
      this.buttons[next].focus();
    },
    choose(name) {
      address.set({ tab: name === "metric" ? "" : name });
      this.show(name);
    },
    async show(name) {
      this.name = name in TABS ? name : "metric";
      for (const [other, button] of Object.entries(this.buttons ?? {})) {
        button.setAttribute("aria-selected", other === this.name);
        button.tabIndex = other === this.name ? 0 : -1;
      }
      const turn = (this.turn = (this.turn ?? 0) + 1);
      const Chosen = await TABS[this.name][1]();
      if (turn !== this.turn) return;
      this.chart?.dispose();
      const open = (id) => id && window.dispatchEvent(new CustomEvent("nni-open-trial", { detail: id }));
      this.chart = new Chosen(this.host, { maximize: this.maximize, budgets: this.budgets, searchSpace: this.searchSpace, open });
      this.drawn = Date.now();
      this.chart.update();
    },
    later() {
      if (this.timer) return;
      const wait = board.drawnOnce ? PAUSE - (Date.now() - this.drawn) : 0;
      board.drawnOnce = true;
      this.timer = setTimeout(() => {
        this.timer = null;
        this.drawn = Date.now();
        if (!document.hidden) this.chart?.update();
      }, Math.max(0, wait));
    },
  },
};
