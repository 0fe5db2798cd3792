// One trial in full: parameters, results, logs, files, model.
import { board } from "./board.js";
import { Curves } from "./curves.js";
import { copy, duration, el, flat, number, python, statusElement, time } from "./format.js";
import { logView } from "./log.js";

const UNENDED = new Set(["WAITING", "RUNNING", "UNKNOWN"]);
const LOGS = { "View trial log": "trial.log", "View trial error": "stderr", "View trial stdout": "stdout" };

export function trialPanel(trial, { readOnly, act, close }) {
  const head = el("div", { class: "panel-head" });
  const body = el("div", { class: "panel-body", role: "tabpanel", tabindex: "0" });
  const tabs = el("div", { class: "tab-list", role: "tablist", "aria-label": `Trial ${trial.seq}` });
  const element = el("section", { class: "panel", "aria-label": `Trial ${trial.seq}` }, head, tabs, body);
  // The grid takes keys and wheel for itself; inside of an opened trial they belong to the trial.
  for (const name of ["keydown", "wheel", "dblclick"]) element.addEventListener(name, (event) => event.stopPropagation());
  const state = { shown: null, cleanup: null, full: null };

  const views = {
    Parameters: () => parameters(body, state.full),
    "Intermediate result": () => intermediates(body, trial),
    Log: () => logs(body, trial),
    Notes: () => notes(body, trial, readOnly),
    Files: () => void files(body, trial),
  };

  function show(name) {
    state.cleanup?.();
    body.replaceChildren();
    state.shown = name;
    for (const button of tabs.children) button.setAttribute("aria-selected", String(button.textContent === name));
    state.cleanup = views[name]() ?? null;
  }

  function drawTabs() {
    tabs.replaceChildren(...Object.keys(views).map((name) => el("button", { type: "button", class: "tab-button", role: "tab", "aria-selected": String(name === state.shown), onclick: () => show(name) }, name)));
  }

  function drawHead() {
    const full = state.full;
    const parts = [
      el("strong", {}, `Trial ${trial.seq}`),
      el("button", { type: "button", class: "icon mono", title: "Copy the id", onclick: (event) => copy(trial.id, event) }, trial.id),
      statusElement(trial.status),
      trial.message && el("span", { class: "problem" }, trial.message),
      el("span", { class: "spring" }),
      full && el("button", { type: "button", class: "button small", onclick: (event) => copy(python(full.parameters), event) }, "Copy as Python"),
      full && el("button", { type: "button", class: "button small", onclick: (event) => copy(JSON.stringify(full.parameters, null, 2), event) }, "Copy as JSON"),
      !readOnly && el("button", { type: "button", class: "button small", onclick: () => act("rerun", trial.id) }, "Run again"),
      !readOnly && el("button", { type: "button", class: "button small", onclick: () => act("customize", trial.id) }, "Customize"),
      el("button", { type: "button", class: "button small", onclick: () => act("tensorboard", [trial.id]) }, "TensorBoard"),
      !readOnly && UNENDED.has(trial.status) && el("button", { type: "button", class: "button small danger", onclick: () => act("kill", trial.id) }, "Kill"),
      el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: close }, "✕"),
    ];
    head.replaceChildren(...parts.filter(Boolean));
  }

  async function load() {
    try {
      state.full = await board.json(`/trials/${trial.id}`);
    } catch (error) {
      body.textContent = error.message;
      return;
    }
    drawHead();
    if (state.shown === "Parameters" || !state.shown) show("Parameters");
  }

  board.json(`/trials/${trial.id}/files`).then(
    (found) => {
      if (!found.some((file) => file.name === "model.onnx")) return;
      views.Model = () => void import("./model_graph.js").then(({ modelGraph }) => modelGraph(body, trial));
      drawTabs();
    },
    () => {},
  );
  drawHead();
  drawTabs();
  load();
  return {
    element,
    update: (now) => {
      Object.assign(trial, now);
      drawHead();
      if (state.shown === "Parameters" || !UNENDED.has(trial.status)) load();
      else if (state.shown === "Intermediate result") state.refresh?.();
    },
    close: () => state.cleanup?.(),
  };
}

function table(rows) {
  return el("table", { class: "plain narrow" }, el("tbody", {}, ...rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)))));
}

const text = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? String(value) : String(value ?? "–"));

const linked = (address) => (address.startsWith("https:") ? el("a", { href: address, rel: "noreferrer" }, address) : address);

function parameters(body, full) {
  if (!full) return;
  const plain = full.parameters !== null && typeof full.parameters === "object" ? [...flat(full.parameters, "", String)] : [["value", text(full.parameters)]];
  const result = full.value !== null && typeof full.value === "object" ? Object.entries(full.value) : [["default", full.value]];
  const facts = [
    ["Start", time(full.startTime) || "–"],
    ["End", time(full.endTime) || "–"],
    ["Duration", full.startTime && full.endTime ? duration(full.endTime - full.startTime) : "–"],
    ["Intermediate results", String(full.intermediates)],
    ["Exit code", text(full.exitCode)],
    ["Source", full.source],
    ["Training service", full.service],
    ...(full.runs > 1 ? [["Runs", `${full.runs} (the one before was lost with its machine; its logs: run-${full.runs - 1}/)`]] : []),
    ["Directory", full.directory],
    ...(full.storage ? [["Shared storage", linked(full.storage)]] : []),
  ];
  if (full.status === "FAILED") body.append(failure(full));
  const block = (title, rows) => el("div", { class: "panel-block" }, el("h3", {}, title), rows);
  const noResult = full.value === null ? el("p", { class: "empty" }, full.status === "SUCCEEDED" ? "The trial ended well, but reported no final result." : "No final result.") : table(result.map(([name, value]) => [name, typeof value === "number" ? number(value) : text(value)]));
  body.append(
    el(
      "div",
      { class: "panel-columns" },
      block("Parameters", table(plain)),
      block("Final result", noResult),
      block("Trial", table(facts)),
    ),
  );
}

// The last traceback that a failed trial wrote; nothing if there is none.
function failure(full) {
  const place = el("div", { class: "failure" });
  board.text(`/trial-log/${full.id}/stderr?tail=300`).then(
    (said) => {
      const start = said.lastIndexOf("Traceback (most recent call last)");
      if (start >= 0) place.append(el("details", { open: true }, el("summary", {}, "Traceback"), el("pre", { class: "code", tabindex: "0" }, said.slice(start).trimEnd())));
    },
    () => {}, // no such file
  );
  return place;
}

function intermediates(body, trial) {
  const host = el("div", { class: "chart-host" });
  body.append(host);
  const chart = new Curves(host, { trials: [trial.seq] });
  chart.update();
  const off = board.on("trials", (change) => change.changed.some((other) => other.seq === trial.seq) && chart.update());
  return () => (off(), chart.dispose());
}

function logs(body, trial) {
  let view = null;
  const bar = el("div", { class: "chips" });
  const show = (name, button) => {
    view?.close();
    view?.element.remove();
    for (const other of bar.children) other.setAttribute("aria-pressed", String(other === button));
    view = logView(board.url(`/trial-log/${trial.id}/${name}`), `${trial.id}-${name}`);
    body.append(view.element);
  };
  for (const [label, name] of Object.entries(LOGS)) bar.append(el("button", { type: "button", class: "chip", onclick: (event) => show(name, event.currentTarget) }, label));
  body.append(bar);
  const first = trial.status === "FAILED" ? 1 : 0;
  show(Object.values(LOGS)[first], bar.children[first]);
  return () => view?.close();
}

function notes(body, trial, readOnly) {
  const note = el("textarea", { class: "note", rows: 8, "aria-label": "Note", readonly: readOnly, maxlength: 10000 });
  note.value = trial.note;
  const tags = el("input", { type: "text", class: "search", "aria-label": "Tags", placeholder: "baseline, to check", readonly: readOnly, value: trial.tags.join(", ") });
  const said = el("span", { class: "hint", role: "status" });
  const save = async () => {
    said.className = "hint";
    try {
      const answer = await fetch(board.url(`/trials/${trial.id}/note`), {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ note: note.value, tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean) }),
      });
      if (!answer.ok) throw new Error((await answer.json()).error);
      said.textContent = "Saved";
    } catch (error) {
      said.className = "problem";
      said.textContent = error.message;
    }
  };
  body.append(
    el(
      "div",
      { class: "notes" },
      el("label", {}, "Tags, separated by commas", tags),
      el("label", {}, "Note", note),
      el("div", { class: "row" }, !readOnly && el("button", { type: "button", class: "button primary", onclick: save }, "Save note"), said),
    ),
  );
}

async function files(body, trial) {
  const place = el("div", {}, "Loading …");
  body.append(place);
  let found = [];
  try {
    found = await board.json(`/trials/${trial.id}/files`);
  } catch (error) {
    place.textContent = error.message;
    return;
  }
  const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`);
  place.replaceChildren(
    found.length
      ? el(
          "table",
          { class: "plain narrow" },
          el("thead", {}, el("tr", {}, ...["File", "Size", "Changed"].map((name) => el("th", { scope: "col" }, name)))),
          el("tbody", {}, ...found.map((file) => el("tr", {}, el("td", {}, el("a", { href: board.url(`/trials/${trial.id}/files/${file.name.split("/").map(encodeURIComponent).join("/")}`), download: file.name.split("/").at(-1) }, file.name)), el("td", {}, size(file.size)), el("td", {}, time(file.modified))))),
        )
      : el("p", { class: "empty" }, "The trial's directory is empty or gone."),
  );
}
