// The best trials, largest or smallest metric first; how many and which way round stays chosen.
import { board } from "nni-page/board.js";
import { BUDGET } from "nni-page/budget.js";
import { remember, remembered } from "nni-page/address.js";
import { duration, el, flat, number, statusElement } from "nni-page/format.js";

const SIZES = [5, 10, 20, 50, 100];

export default {
  template: "<div></div>",
  props: { experiment: String, maximize: Boolean, budgets: Boolean },
  mounted() {
    this.key = `nni-best-${this.experiment}`;
    this.choice = remembered(this.key, { size: 10, largest: this.maximize });
    this.body = el("tbody");
    this.empty = el("p", { class: "empty" }, "No result yet. The best trials appear as soon as the first one has reported its final result.");
    this.table = el(
      "table",
      { class: "plain" },
      el("thead", {}, el("tr", {}, ...["No.", "ID", "Metric", ...(this.budgets ? ["Budget"] : []), "Duration", "Status", "Parameters"].map((name) => el("th", { scope: "col" }, name)))),
      this.body,
    );
    this.$el.append(this.head(), el("div", { class: "scroll" }, this.table), this.empty);
    this.off = board.on("summary", (summary) => this.refresh(summary));
    this.load();
  },
  unmounted() {
    this.off?.();
  },
  methods: {
    head() {
      const size = el("select", { "aria-label": "How many", onchange: (event) => this.choose({ size: Number(event.target.value) }) });
      for (const value of SIZES) size.append(el("option", { value, selected: value === this.choice.size }, `Top ${value}`));
      const way = el("select", { "aria-label": "Which first", onchange: (event) => this.choose({ largest: event.target.value === "1" }) });
      way.append(el("option", { value: 1, selected: this.choice.largest }, "Largest metric"));
      way.append(el("option", { value: 0, selected: !this.choice.largest }, "Smallest metric"));
      return el("div", { class: "card-head" }, el("h2", {}, "Best trials"), size, way);
    },
    choose(change) {
      Object.assign(this.choice, change);
      remember(this.key, this.choice);
      this.load();
    },
    refresh(summary) {
      const state = JSON.stringify([summary.best?.id, summary.counts.SUCCEEDED]);
      if (state !== this.state) this.load();
      this.state = state;
    },
    async load() {
      const order = `${this.choice.largest ? "-" : ""}${this.budgets ? "budget-" : ""}metric`; // a larger budget first
      const wanted = `/trials?status=SUCCEEDED&order=${order}&limit=${this.choice.size}`;
      try {
        const page = await board.json(wanted);
        this.show(page.items.filter((trial) => trial.metric !== null));
      } catch {
        // the banner says that the manager does not answer
      }
    },
    show(trials) {
      this.empty.hidden = trials.length > 0;
      this.table.hidden = !trials.length;
      const root = board.api.replace(/\/api\/v1\/nni$/, "");
      this.body.replaceChildren(
        ...trials.map((trial) =>
          el(
            "tr",
            {},
            el("td", {}, String(trial.sequence)),
            el("td", {}, el("a", { href: `${root}/detail?trial=${encodeURIComponent(trial.id)}` }, trial.id)),
            el("td", { class: "strong" }, number(trial.metric)),
            this.budgets && el("td", {}, number(trial.parameters?.[BUDGET])),
            el("td", {}, trial.startTime && trial.endTime ? duration(trial.endTime - trial.startTime) : "–"),
            el("td", {}, statusElement(trial.status)),
            el("td", { class: "parameters" }, parameters(trial.parameters)),
          ),
        ),
      );
    },
  },
};

function parameters(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return [...flat(value)].filter(([name]) => name !== BUDGET).map(([name, item]) => `${name} = ${item}`).join(", ");
}
