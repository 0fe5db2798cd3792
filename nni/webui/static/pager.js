// Below a table: which of its rows are shown, and the way to the others.
import { el } from "./format.js";

const SIZES = [20, 50, 100, 500];

export function pager(resize) {
  const state = {};
  const size = el("select", { "aria-label": "Rows on a page", title: "Rows on a page", onchange: (event) => resize(Number(event.target.value)) });
  const text = el("span", { class: "hint", role: "status" });
  const step = (symbol, label, wanted) => el("button", { type: "button", class: "button small", "aria-label": label, title: label, onclick: () => state.go(wanted(state)) }, symbol);
  const back = [step("«", "First page", () => 0), step("‹", "Previous page", ({ page }) => page - 1)];
  const on = [step("›", "Next page", ({ page }) => page + 1), step("»", "Last page", ({ pages }) => pages - 1)];
  const page = el("span", { class: "hint" });
  const element = el("nav", { class: "pager", "aria-label": "Pages of the table", hidden: true }, size, text, el("span", { class: "spring" }), ...back, page, ...on);

  function show(now) {
    Object.assign(state, now);
    element.hidden = !now.total;
    if (size.value !== String(now.size)) {
      const sizes = [...new Set([...SIZES, now.size])].sort((a, b) => a - b);
      size.replaceChildren(...sizes.map((value) => el("option", { value, selected: value === now.size }, `${value} on a page`)));
    }
    text.textContent = `${now.first} to ${now.last} of ${now.total}`;
    page.textContent = `Page ${now.page + 1} of ${Math.max(1, now.pages)}`;
    for (const button of back) button.disabled = now.page <= 0;
    for (const button of on) button.disabled = now.page >= now.pages - 1;
  }
  return { element, show };
}
