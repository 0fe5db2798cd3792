// All experiments of this user on this machine; each status is true even where a manager died.
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import { copy, duration, el, time } from "nni-page/format.js";

const PAUSE = 5000; // ms between two looks at the list
const SYMBOLS = { INITIALIZED: "…", RUNNING: "▶", NO_MORE_TRIAL: "▶", TUNER_NO_MORE_TRIAL: "▶", DONE: "✓", ERROR: "✕", STOPPING: "■", STOPPED: "■", VIEWED: "◉" };
const words = (name) => `${name[0]}${name.slice(1).toLowerCase().replaceAll("_", " ")}`;
const COLUMNS = {
  name: ["Name", (item) => item.experimentName || "–"],
  id: ["ID", (item) => item.id],
  status: ["Status", (item) => item.status],
  start: ["Start time", (item) => number(item.startTime)],
  end: ["End time", (item) => number(item.endTime)],
  duration: ["Duration", (item) => length(item)],
  port: ["Port", (item) => number(item.port)],
  platform: ["Platform", (item) => item.platform],
  tag: ["Tags", (item) => (item.tag ?? []).join(", ")],
};

const number = (value) => (typeof value === "number" ? value : null);
const length = (item) => {
  const end = number(item.endTime) ?? (item.status === "STOPPED" ? null : Date.now()); // nobody knows when a manager died
  return number(item.startTime) && end ? end - item.startTime : null;
};

export default {
  template: "<div></div>",
  props: { experiment: String },
  mounted() {
    this.items = [];
    this.statuses = new Set(address.getAll("status"));
    this.sort = address.get("sort", "-start");
    this.text = address.get("q");
    this.chips = el("div", { class: "chips", role: "group", "aria-label": "Statuses" });
    this.count = el("span", { class: "hint", role: "status" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.head = el("tr");
    this.body = el("tbody");
    const search = el("input", { type: "search", class: "search", placeholder: "Name, ID or tag", "aria-label": "Search", value: this.text, oninput: (event) => ((this.text = event.target.value.trim()), this.changed()) });
    this.$el.append(
      el("div", { class: "card-head" }, el("h2", {}, "All experiments"), this.count, el("span", { class: "spring" }), el("a", { class: "button", href: this.root("/compare") }, "Compare")),
      el("div", { class: "filters" }, search, this.chips),
      el("div", { class: "scroll" }, el("table", { class: "plain list" }, el("thead", {}, this.head), this.body)),
      this.empty,
    );
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), PAUSE);
  },
  unmounted() {
    clearInterval(this.timer);
  },
  methods: {
    root(path) {
      return board.api.replace(/\/api\/v1\/nni$/, "") + path;
    },
    async load() {
      try {
        this.items = await board.json("/experiments-info");
      } catch (error) {
        this.empty.hidden = false;
        this.empty.textContent = error.message;
        return;
      }
      this.draw();
    },
    changed() {
      address.set({ q: this.text, status: [...this.statuses], sort: this.sort === "-start" ? "" : this.sort });
      this.draw();
    },
    draw() {
      this.drawChips();
      this.drawHead();
      const shown = this.items.filter((item) => this.fits(item)).sort((a, b) => this.order(a, b));
      const state = JSON.stringify([shown, this.sort]);
      this.count.textContent = shown.length === this.items.length ? `${shown.length}` : `${shown.length} of ${this.items.length}`;
      this.empty.hidden = shown.length > 0;
      this.empty.textContent = this.items.length ? "No experiment fits this search." : "No experiment yet. nnictl create --config config.yml starts one.";
      if (state !== this.state) this.body.replaceChildren(...shown.map((item) => this.row(item)));
      this.state = state;
    },
    fits(item) {
      if (this.statuses.size && !this.statuses.has(item.status)) return false;
      return [item.id, item.experimentName, ...(item.tag ?? [])].join(" ").toLowerCase().includes(this.text.toLowerCase());
    },
    order(a, b) {
      const [, value] = COLUMNS[this.sort.replace(/^-/, "")] ?? COLUMNS.start;
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (this.sort.startsWith("-") ? -1 : 1) * (typeof x === "number" ? x - y : String(x).localeCompare(String(y)));
    },
    drawChips() {
      const there = [...new Set([...this.items.map((item) => item.status), ...this.statuses])].sort();
      if (there.join() === this.there) return;
      this.there = there.join();
      this.chips.replaceChildren(
        ...there.map((name) =>
          el("button", { type: "button", class: `chip status-${name}`, "aria-pressed": String(this.statuses.has(name)), onclick: (event) => {
            if (!this.statuses.delete(name)) this.statuses.add(name);
            event.currentTarget.setAttribute("aria-pressed", String(this.statuses.has(name)));
            this.changed();
          } }, `${SYMBOLS[name] ?? "?"} ${words(name)}`),
        ),
      );
    },
    drawHead() {
      this.head.replaceChildren(
        ...Object.entries(COLUMNS).map(([key, [name]]) => {
          const sorted = this.sort.replace(/^-/, "") === key;
          const down = this.sort.startsWith("-");
          const sort = () => ((this.sort = sorted && !down ? `-${key}` : key), this.changed(), this.head.querySelector(`[data-key=${key}]`).focus());
          return el("th", { scope: "col", "aria-sort": sorted ? (down ? "descending" : "ascending") : null }, el("button", { type: "button", class: "sort", "data-key": key, onclick: sort }, `${name}${sorted ? (down ? " ↓" : " ↑") : ""}`));
        }),
        el("th", {}, ""),
      );
    },
    row(item) {
      const own = item.id === this.experiment;
      const alive = item.status !== "STOPPED" && item.webuiUrl?.length;
      const url = alive ? (item.webuiUrl.find((one) => new URL(one).hostname === location.hostname) ?? item.webuiUrl[0]) : null;
      const link = own ? this.root("/oview") : url;
      const command = `nnictl ${item.status === "STOPPED" ? "view" : "resume"} ${item.id} --port 8081`;
      return el(
        "tr",
        { class: own ? "own" : "" },
        el("td", { class: "strong" }, item.experimentName || "–", own && el("span", { class: "hint" }, " (this one)")),
        el("td", { class: "mono" }, link ? el("a", { href: link }, item.id) : item.id),
        el("td", {}, el("span", { class: `status status-${item.status}` }, `${SYMBOLS[item.status] ?? "?"} ${words(item.status)}`)),
        el("td", {}, time(number(item.startTime)) || "–"),
        el("td", {}, time(number(item.endTime)) || "–"),
        el("td", {}, duration(length(item)) || "–"),
        el("td", {}, item.port ? String(item.port) : "–"),
        el("td", {}, item.platform),
        el("td", {}, (item.tag ?? []).join(", ")),
        el("td", {}, !link && el("button", { type: "button", class: "button small", title: `Copy: ${command}`, onclick: (event) => copy(command, event) }, "Copy view command")),
      );
    },
  },
};
