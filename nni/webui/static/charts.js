// Tabs of charts over the trials; only the chosen one exists.
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import { el } from "nni-page/format.js";
import { MetricChart } from "nni-page/metric_chart.js";
import { Parallel } from "nni-page/parallel.js";
import { DurationChart } from "nni-page/duration_chart.js";
import { Curves } from "nni-page/curves.js";
import { Slices } from "nni-page/slices.js";

const TABS = {
  metric: ["Default metric", MetricChart],
  parameters: ["Hyper-parameter", Parallel],
  duration: ["Trial duration", DurationChart],
  intermediate: ["Intermediate result", Curves],
  slices: ["Slices and importance", Slices],
};
const PAUSE = 2000; // ms between two drawings while trials change

export default {
  template: '<div class="charts"></div>',
  props: { experiment: String, maximize: Boolean, searchSpace: Object, only: String, importance: Boolean },
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
    show(name) {
      this.name = name in TABS ? name : "metric";
      for (const [other, button] of Object.entries(this.buttons ?? {})) {
        button.setAttribute("aria-selected", other === this.name);
        button.tabIndex = other === this.name ? 0 : -1;
      }
      this.chart?.dispose();
      const open = (id) => id && window.dispatchEvent(new CustomEvent("nni-open-trial", { detail: id }));
      this.chart = new TABS[this.name][1](this.host, { maximize: this.maximize, searchSpace: this.searchSpace, importance: this.importance, open });
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
        if (!document.hidden) this.chart.update();
      }, Math.max(0, wait));
    },
  },
};
