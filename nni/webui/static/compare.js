// Several trials side by side: their curves, results and parameters.
import { board } from "./board.js";
import * as address from "./address.js";
import { Curves } from "./curves.js";
import { duration, el, number, statusElement } from "./format.js";

export async function compare(sequences) {
  await board.load();
  const trials = sequences.map((sequence) => board.trials.get(sequence)).filter(Boolean);
  if (!trials.length) return;
  address.set({ compare: trials.map((trial) => trial.seq) });
  const host = el("div", { class: "chart-host" });
  const dialog = el(
    "dialog",
    { class: "native wide", "aria-label": "Compare trials", onclick: (event) => event.target === dialog && dialog.close() },
    el("header", { class: "sheet-head" }, el("h2", {}, `Compare ${trials.length} trials`), el("button", { type: "button", class: "button quiet", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    el("div", { class: "sheet-body" }, host, el("div", { class: "scroll" }, sideBySide(trials))),
  );
  document.body.append(dialog);
  dialog.showModal();
  const chart = new Curves(host, { trials: trials.map((trial) => trial.seq) });
  chart.update();
  dialog.addEventListener("close", () => {
    chart.dispose();
    dialog.remove();
    address.set({ compare: "" });
  });
}

function sideBySide(trials) {
  const row = (name, cells) => {
    const texts = cells.map((cell) => (cell instanceof Node ? cell.textContent : String(cell ?? "")));
    return el("tr", { class: new Set(texts).size > 1 ? "differs" : "" }, el("th", { scope: "row" }, name), ...cells.map((cell) => el("td", {}, cell instanceof Node ? cell : String(cell ?? "–"))));
  };
  return el(
    "table",
    { class: "plain" },
    el("thead", {}, el("tr", {}, el("th", {}, ""), ...trials.map((trial) => el("th", { scope: "col" }, `Trial ${trial.seq} (${trial.id})`)))),
    el(
      "tbody",
      {},
      row("Status", trials.map((trial) => statusElement(trial.status))),
      row("Default metric", trials.map((trial) => number(trial.metric))),
      ...board.metrics.map((name, place) => row(name, trials.map((trial) => number(trial.m[place])))),
      row("Duration", trials.map((trial) => duration(board.duration(trial)))),
      row("Intermediate count", trials.map((trial) => trial.count)),
      ...board.parameters.map((name, place) => row(name, trials.map((trial) => number(trial.p[place])))),
    ),
  );
}
