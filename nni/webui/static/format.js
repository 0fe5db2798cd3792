// Numbers, times and statuses as people read them.

export const STATUSES = {
  WAITING: { symbol: "…", words: "Waiting", color: ["#5b6673", "#a9b4c0"] },
  RUNNING: { symbol: "▶", words: "Running", color: ["#0b5cad", "#6db3f2"] },
  SUCCEEDED: { symbol: "✓", words: "Succeeded", color: ["#0a6b4b", "#4fc79c"] },
  FAILED: { symbol: "✕", words: "Failed", color: ["#b3261e", "#ff8f85"] },
  EARLY_STOPPED: { symbol: "◐", words: "Early stopped", color: ["#8a5300", "#f0b13c"] },
  USER_CANCELED: { symbol: "⊘", words: "User canceled", color: ["#6f3fa0", "#c9a2f2"] },
  SYS_CANCELED: { symbol: "⊗", words: "Sys canceled", color: ["#4c4f87", "#a8abea"] },
  UNKNOWN: { symbol: "?", words: "Unknown", color: ["#5b6673", "#a9b4c0"] },
};

export const isDark = () => document.body.classList.contains("body--dark");

export const statusColor = (name) => (STATUSES[name] ?? STATUSES.UNKNOWN).color[isDark() ? 1 : 0];

export function number(value) {
  if (typeof value !== "number") return value == null ? "" : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(6)));
}

// Numbers, among them those that JSON can only name.
export const isFigure = (value) => typeof value === "number" || value === "NaN" || value === "Infinity" || value === "-Infinity";

export function duration(milliseconds) {
  if (milliseconds == null) return "";
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  const [d, h, m, s] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  if (d) return `${d}d ${h}h`;
  if (h) return `${h}h ${m}m`;
  return m ? `${m}m ${s}s` : `${s}s`;
}

const two = (n) => String(n).padStart(2, "0");

export function time(milliseconds) {
  if (!milliseconds) return "";
  const t = new Date(milliseconds);
  const day = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  return `${day} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

// What Python reads back as the same value: None, True, and NaN where JSON carries names of them.
export function python(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") {
    if (value === "NaN") return "float('nan')";
    if (value === "Infinity" || value === "-Infinity") return `float('${value.replace("Infinity", "inf")}')`;
    return `'${value.replace(/\\/g, "\\\\").replace(/'/g, "\\'").replace(/\n/g, "\\n").replace(/\r/g, "\\r")}'`;
  }
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${python(key)}: ${python(item)}`)
    .join(", ")}}`;
}

// An element with attributes, listeners (onclick: f) and children (text stays text).
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function statusElement(name) {
  const status = STATUSES[name] ?? STATUSES.UNKNOWN;
  return el("span", { class: `status status-${name}` }, `${status.symbol} ${status.words}`);
}

export function csv(rows) {
  const cell = (value) => {
    const text = value == null ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

export function save(content, name, type = "text/plain") {
  const url = typeof content === "string" && content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export async function copy(text, event) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { style: "position:fixed;opacity:0" }); // no clipboard outside of secure contexts
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const button = event?.target?.closest?.("button");
  if (button && !button.copied) {
    const before = [...button.childNodes];
    button.copied = true;
    button.replaceChildren(button.classList.contains("icon") ? "✓" : "Copied ✓");
    setTimeout(() => {
      button.replaceChildren(...before);
      button.copied = false;
    }, 1500);
  }
}

// Symbols that no font has to have.
const PATHS = {
  copy: "M5.5 3.5h7v9h-7zM3.5 5.5v9h7",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3.2H9.8",
  edit: "M3 13l.6-3L10.4 3.2l2.4 2.4L6 12.4zM8.8 4.8l2.4 2.4",
  kill: "M4 4l8 8M12 4l-8 8",
  open: "M6 3.5 10.5 8 6 12.5",
  close: "M3.5 6 8 10.5 12.5 6",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "symbol");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function check(label, checked, change) {
  const box = el("input", { type: "checkbox", onchange: (event) => change(event.target.checked) });
  box.checked = checked;
  return el("label", { class: "check" }, box, ` ${label}`);
}

// Names and texts of a configuration: what a nested choice chose, and below it what depends on it.
export function* flat(value, prefix = "", write = number) {
  for (const [name, item] of Object.entries(value)) {
    if (item === null || typeof item !== "object" || Array.isArray(item)) {
      yield [prefix + name, typeof item === "string" ? item : typeof item === "number" ? write(item) : JSON.stringify(item)];
      continue;
    }
    const { _name, ...inner } = item;
    if (_name !== undefined) yield [prefix + name, String(_name)];
    yield* flat(inner, `${prefix}${name}/`, write);
  }
}
