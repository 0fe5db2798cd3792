// What is searched for above the table: id or number, statuses, and conditions on parameters. It stands in the URL.
import { board } from "./board.js";
import * as address from "./address.js";
import { el, number, STATUSES } from "./format.js";

const PAUSE = 150; // ms after the last key
const MOST_VALUES = 30; // of a parameter that is chosen from a list

export class Filters {
  constructor(changed) {
    this.changed = changed;
    this.text = address.get("q");
    this.statuses = new Set(address.getAll("status"));
    this.conditions = parse(address.get("where"));
    this.search = el("input", { type: "search", class: "search", placeholder: "Trial ID, No. or tag", "aria-label": "Search by trial id, number or tag", value: this.text, oninput: () => this.typed() });
    this.chips = el("div", { class: "chips", role: "group", "aria-label": "Statuses" });
    for (const [name, status] of Object.entries(STATUSES)) {
      this.chips.append(
        el(
          "button",
          { type: "button", class: `chip status-${name}`, "data-status": name, "aria-pressed": String(this.statuses.has(name)), onclick: (event) => this.toggle(name, event.currentTarget) },
          `${status.symbol} ${status.words}`,
        ),
      );
    }
    this.add = el("select", { "aria-label": "Search by a parameter", onchange: () => this.addCondition() });
    this.list = el("div", { class: "conditions" });
    this.element = el("div", { class: "filters" }, this.search, this.chips, this.add, this.list);
    this.off = board.on("trials", () => this.fill());
    this.fill();
    this.draw();
  }

  get active() {
    return Boolean(this.text || this.statuses.size || this.conditions.length);
  }

  passes(trial) {
    if (!trial) return false;
    if (this.statuses.size && !this.statuses.has(trial.status)) return false;
    if (this.text && !this.named(trial)) return false;
    return this.conditions.every((condition) => {
      const value = trial.p[board.parameters.indexOf(condition.name)];
      if (condition.values) return !condition.values.length || condition.values.includes(value);
      if (condition.low != null && !(value >= condition.low)) return false;
      return condition.high == null || value <= condition.high;
    });
  }

  named(trial) {
    const wanted = this.text.toLowerCase();
    return trial.id.toLowerCase().includes(wanted) || String(trial.seq) === this.text || trial.tags.some((tag) => tag.toLowerCase() === wanted);
  }

  query() {
    const query = new URLSearchParams();
    if (this.text) query.set("text", this.text);
    for (const status of this.statuses) query.append("status", status);
    const effective = this.conditions.filter((item) => item.values?.length || item.low != null || item.high != null);
    if (effective.length) query.set("where", JSON.stringify(effective));
    return query;
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.text = this.search.value.trim();
      this.tell();
    }, PAUSE);
  }

  toggle(name, chip) {
    if (this.statuses.has(name)) this.statuses.delete(name);
    else this.statuses.add(name);
    chip.setAttribute("aria-pressed", String(this.statuses.has(name)));
    this.tell();
  }

  tell() {
    address.set({ q: this.text, status: [...this.statuses], where: this.conditions.length ? JSON.stringify(this.conditions) : "" });
    this.changed();
  }

  // Only statuses that occur need a chip.
  fill() {
    const there = new Set([...board.trials.values()].map((trial) => trial.status));
    for (const chip of this.chips.children) chip.hidden = !there.has(chip.dataset.status) && !this.statuses.has(chip.dataset.status);
    const names = ["", ...board.parameters];
    if (names.length !== this.add.options.length) this.add.replaceChildren(...names.map((name) => el("option", { value: name }, name || "Parameter …")));
    this.add.hidden = names.length === 1;
    if (!this.drawn && board.loaded) this.draw();
  }

  addCondition() {
    const name = this.add.value;
    this.add.value = "";
    if (!name) return;
    const values = this.values(name);
    this.conditions.push(values ? { name, values: [] } : { name, low: null, high: null });
    this.draw();
    this.tell();
    this.list.lastElementChild?.querySelector("input")?.focus();
  }

  // The values to choose from; null where a range is asked for.
  values(name) {
    const place = board.parameters.indexOf(name);
    const found = new Set();
    let numbers = true;
    for (const trial of board.trials.values()) {
      const value = trial.p[place];
      if (value === undefined || value === null) continue;
      found.add(value);
      numbers &&= typeof value === "number";
      if (found.size > MOST_VALUES) return numbers ? null : [...found].slice(0, MOST_VALUES);
    }
    return numbers && found.size > 8 ? null : [...found].sort((a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b))));
  }

  draw() {
    this.drawn = board.loaded;
    this.list.replaceChildren(
      ...this.conditions.map((condition) => {
        const remove = el("button", { type: "button", class: "chip-button", "aria-label": `Remove the condition on ${condition.name}`, onclick: () => { this.conditions = this.conditions.filter((other) => other !== condition); this.draw(); this.tell(); } }, "✕");
        const inside = condition.values ? this.choices(condition) : this.range(condition);
        return el("div", { class: "condition" }, el("span", { class: "strong" }, condition.name), ...inside, remove);
      }),
    );
  }

  choices(condition) {
    return (this.values(condition.name) ?? condition.values).map((value) => {
      const box = el("input", { type: "checkbox", onchange: (event) => {
        condition.values = event.target.checked ? [...condition.values, value] : condition.values.filter((other) => other !== value);
        this.tell();
      } });
      box.checked = condition.values.includes(value);
      return el("label", { class: "check" }, box, ` ${number(value)}`);
    });
  }

  range(condition) {
    const field = (key, label) =>
      el("input", { type: "number", step: "any", class: "short", placeholder: label, "aria-label": `${condition.name}, ${label}`, value: condition[key], onchange: (event) => {
        condition[key] = event.target.value === "" ? null : Number(event.target.value);
        this.tell();
      } });
    return [field("low", "from"), field("high", "to")];
  }
}

function parse(text) {
  try {
    const found = JSON.parse(text || "[]");
    return Array.isArray(found) ? found.filter((item) => typeof item?.name === "string") : [];
  } catch {
    return [];
  }
}
