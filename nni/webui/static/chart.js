// What all charts share: one canvas, colours of the theme, export, and drawing no more often than the eye needs.
import { echarts } from "nicegui-echart";
import { csv, duration, el, isDark, number, save, statusElement } from "./format.js";

export { echarts };

export function colors() {
  return isDark()
    ? { text: "#dfe5ec", muted: "#a9b4c0", line: "#3a4450", surface: "#1b2128", accent: "#6db3f2", second: "#f0b13c", steps: ["#7f93a8", "#6db3f2", "#e6f2ff"], scale: ["#30467a", "#2f7f8f", "#45b07c", "#f2d64b"] }
    : { text: "#1b2430", muted: "#566270", line: "#d9dee5", surface: "#ffffff", accent: "#0b5cad", second: "#c25700", steps: ["#9fb3c8", "#3f86c9", "#06315e"], scale: ["#414487", "#2a788e", "#22a884", "#d9b500"] };
}

export function axis(name, more = {}) {
  const c = colors();
  return {
    name,
    nameTextStyle: { color: c.muted },
    axisLine: { onZero: false, lineStyle: { color: c.muted } },
    axisLabel: { color: c.muted, hideOverlap: true, formatter: (value) => (typeof value === "number" ? number(value) : value) },
    splitLine: { lineStyle: { color: c.line } },
    ...more,
  };
}

// Numbers of trials: room at both ends, so that no point lies on the edge, and no numbers there that no trial has.
export const trialAxis = (more = {}) => {
  const room = (range) => Math.max(0.5, 0.015 * (range.max - range.min));
  return axis("Trial", {
    type: "value",
    scale: true,
    min: (range) => range.min - room(range),
    max: (range) => range.max + room(range),
    nameLocation: "middle",
    nameGap: 26,
    minInterval: 1,
    axisLabel: { color: colors().muted, hideOverlap: true, formatter: (value) => (value >= 0 && Number.isInteger(value) ? String(value) : "") },
    ...more,
  });
};

export const base = () => ({
  animation: false,
  backgroundColor: "transparent",
  textStyle: { color: colors().text, fontFamily: "inherit" },
  grid: { left: 64, right: 24, top: 32, bottom: 72 },
});

export const zoom = () => {
  const c = colors();
  return [
    { type: "inside", filterMode: "none", zoomOnMouseWheel: "ctrl" },
    { type: "slider", height: 18, bottom: 10, filterMode: "none", borderColor: c.line, textStyle: { color: c.muted }, showDataShadow: false, brushSelect: false },
  ];
};

export const tooltip = (formatter) => {
  const c = colors();
  return {
    trigger: "item",
    confine: true,
    backgroundColor: c.surface,
    borderColor: c.line,
    textStyle: { color: c.text, fontSize: 12 },
    formatter: (item) => formatter(item) ?? "",
  };
};

// What a trial is, as a small table; elements and not HTML text, so that nothing a trial reported is taken for markup.
export function described(trial, names, extra = []) {
  const rows = [...extra, ["Metric", number(trial.metric)], ["Duration", trial.start && trial.end ? duration(trial.end - trial.start) : ""]];
  names.forEach((name, place) => trial.p[place] !== undefined && trial.p[place] !== null && rows.push([name, number(trial.p[place])]));
  return el(
    "div",
    { class: "tip" },
    el("div", { class: "tip-head" }, `Trial ${trial.seq} (${trial.id}) `, statusElement(trial.status)),
    ...rows.filter((row) => row[1] !== "").map(([name, value]) => el("div", { class: "tip-row" }, el("span", {}, name), el("b", {}, String(value)))),
  );
}

export class Chart {
  constructor(host, label) {
    this.host = host;
    this.tools = el("div", { class: "chart-tools" });
    this.canvas = el("div", { class: "chart", role: "img", "aria-label": label });
    this.note = el("p", { class: "empty", hidden: true });
    host.append(this.tools, this.canvas, this.note);
    this.name = label.toLowerCase().replaceAll(" ", "-");
    this.chart = echarts.init(this.canvas, null, { renderer: "canvas" });
    this.size = new ResizeObserver(() => this.chart.resize());
    this.size.observe(this.canvas);
  }

  // `rows` gives what CSV export writes.
  exports(rows) {
    const menu = el("details", { class: "export" }, el("summary", { class: "button small" }, "Export"));
    const item = (name, act) =>
      el("button", { type: "button", class: "menu-item", onclick: () => ((menu.open = false), act()) }, name);
    menu.append(
      el(
        "div",
        { class: "export-menu" },
        item("PNG", () => save(this.chart.getDataURL({ pixelRatio: 2, backgroundColor: colors().surface }), `${this.name}.png`)),
        item("SVG", () => save(this.svg(), `${this.name}.svg`, "image/svg+xml")),
        item("Data as CSV", () => save(csv(rows()), `${this.name}.csv`, "text/csv")),
      ),
    );
    menu.addEventListener("focusout", (event) => !menu.contains(event.relatedTarget) && (menu.open = false));
    this.tools.append(el("span", { class: "spring" }), menu);
  }

  svg() {
    const copy = echarts.init(null, null, { renderer: "svg", ssr: true, width: this.chart.getWidth(), height: this.chart.getHeight() });
    copy.setOption({ ...this.option, backgroundColor: colors().surface });
    const text = copy.renderToSVGString();
    copy.dispose();
    return text;
  }

  draw(option, replace = true) {
    this.option = option;
    const kept = this.chart.getOption()?.dataZoom?.[0];
    if (kept && option.dataZoom) for (const item of option.dataZoom) Object.assign(item, { start: kept.start, end: kept.end });
    this.chart.setOption(option, replace);
  }

  say(text) {
    this.note.textContent = text ?? "";
    this.note.hidden = !text;
    this.canvas.hidden = Boolean(text);
    if (!text) this.chart.resize();
  }

  dispose() {
    this.size.disconnect();
    this.chart.dispose();
    this.host.replaceChildren();
  }
}

export function select(label, options, chosen, change) {
  const made = el("select", { "aria-label": label, title: label, onchange: (event) => change(event.target.value) });
  fill(made, options, chosen);
  return made;
}

export function fill(made, options, chosen) {
  const wanted = JSON.stringify([options, chosen]);
  if (made.dataset.filled === wanted) return;
  made.dataset.filled = wanted;
  made.replaceChildren(...options.map(([value, text]) => el("option", { value, selected: String(value) === String(chosen) }, text ?? value)));
}
