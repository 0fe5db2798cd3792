// A text file from its end: the last lines at first, more on demand; with search and wrapping.
import { remember, remembered } from "./address.js";
import { check, el } from "./format.js";

const LINES = 2000;
const FOLLOW = 2000; // ms between looks at a file that is followed

export function logView(url, name, wanted = "") {
  const text = el("pre", { class: "log-text", tabindex: "0", "aria-label": name });
  const found = el("span", { class: "hint", role: "status" });
  const state = { lines: LINES, text: "", places: [], at: -1, open: true };

  const search = el("input", {
    type: "search",
    class: "search",
    placeholder: "Search in this log",
    "aria-label": "Search in this log",
    value: wanted,
    oninput: () => draw(),
    onkeydown: (event) => {
      if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
      event.stopPropagation();
    },
  });
  const wrap = check("Wrap lines", remembered("nni-log-wrap", true), (on) => {
    remember("nni-log-wrap", on);
    text.classList.toggle("wrap", on);
  });
  const follow = check("Follow", false, (on) => on && load(true));
  const more = el("button", { type: "button", class: "button small", onclick: () => ((state.lines *= 10), load()) }, "Show more");
  const element = el(
    "div",
    { class: "log" },
    el(
      "div",
      { class: "log-tools" },
      search,
      el("button", { type: "button", class: "button small", onclick: () => go(-1), "aria-label": "Previous match" }, "↑"),
      el("button", { type: "button", class: "button small", onclick: () => go(1), "aria-label": "Next match" }, "↓"),
      found,
      el("span", { class: "spring" }),
      wrap,
      follow,
      more,
      el("a", { class: "button small", href: url, download: name }, "Download"),
    ),
    text,
  );
  text.classList.toggle("wrap", wrap.firstChild.checked);

  async function load(again = false) {
    try {
      const answer = await fetch(`${url}?tail=${state.lines}`);
      const body = await answer.text();
      if (!answer.ok) throw new Error(JSON.parse(body).error ?? body);
      more.hidden = body.split("\n").length <= state.lines;
      if (body !== state.text || !again) {
        state.text = body;
        draw();
        if (!search.value) text.scrollTop = text.scrollHeight;
      }
    } catch (error) {
      text.textContent = error.message.startsWith("File not found") ? "This file does not exist (yet)." : error.message;
    }
    if (state.open && follow.firstChild.checked) setTimeout(() => state.open && follow.firstChild.checked && load(true), FOLLOW);
  }

  function draw() {
    const wanted = search.value.toLowerCase();
    state.places = [];
    state.at = -1;
    found.textContent = "";
    if (!wanted) {
      text.textContent = state.text || "This log is empty.";
      return;
    }
    const lower = state.text.toLowerCase();
    const parts = [];
    let last = 0;
    for (let at = lower.indexOf(wanted); at >= 0 && state.places.length < 5000; at = lower.indexOf(wanted, at + wanted.length)) {
      parts.push(state.text.slice(last, at));
      const mark = el("mark", {}, state.text.slice(at, at + wanted.length));
      state.places.push(mark);
      parts.push(mark);
      last = at + wanted.length;
    }
    parts.push(state.text.slice(last));
    text.replaceChildren(...parts);
    found.textContent = state.places.length ? "" : "No match";
    if (state.places.length) go(1);
  }

  function go(step) {
    if (!state.places.length) return;
    state.places[state.at]?.classList.remove("here");
    state.at = (state.at + step + state.places.length) % state.places.length;
    const mark = state.places[state.at];
    mark.classList.add("here");
    mark.scrollIntoView({ block: "center" });
    found.textContent = `${state.at + 1} of ${state.places.length}`;
  }

  load();
  return { element, close: () => (state.open = false) };
}
