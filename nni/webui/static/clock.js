// Lets durations go on between two messages, says when the manager is gone, and gives the Python side a few helpers.
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import * as format from "nni-page/format.js";

const REPEAT = 1000;

window.nniPage = {
  copy: format.copy,
  save: (text, name) => format.save(text, name, "application/json"),
  setInterval: (seconds) => {
    address.remember("nni-interval", seconds);
    board.setInterval(seconds);
  },
  toggleTheme: () => {
    const dark = !format.isDark();
    localStorage.setItem("nni-theme", dark ? "dark" : "light");
    window.setDark(dark);
  },
};

function tick() {
  for (const element of document.querySelectorAll("[data-ticking]")) {
    const start = element.dataset.ticking;
    if (element.nniStart !== start) {
      element.nniStart = start;
      element.nniSince = Date.now();
    }
    element.textContent = format.duration(1000 * Number(start) + Date.now() - element.nniSince);
  }
}

function showConnection({ connected, reason }) {
  const banner = document.getElementById("lost");
  if (!banner) return;
  banner.hidden = connected;
  if (connected) return;
  const since = board.heard ? ` What you see is from ${format.time(board.heard)}.` : "";
  const id = document.querySelector(".subject-id")?.textContent ?? "ID";
  const next = board.finished ? `It was stopped; nnictl resume ${id} goes on with it.` : `If it is gone, nnictl resume ${id} brings it back.`;
  banner.textContent = `The manager of this experiment does not answer${reason ? ` (${reason})` : ""}. ${next}${since}`;
}

export default {
  template: "<span hidden></span>",
  props: { api: String },
  emits: ["interval"],
  created() {
    board.start(this.api);
  },
  mounted() {
    board.on("connection", showConnection);
    this.timer = setInterval(tick, REPEAT);
    if (board.interval !== 0) this.$emit("interval", board.interval); // chosen on an earlier page
    if (address.get("token")) address.set({ token: "" }); // the browser has a cookie now; the secret need not be seen
  },
  unmounted() {
    clearInterval(this.timer);
  },
};
