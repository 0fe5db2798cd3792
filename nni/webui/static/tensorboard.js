// TensorBoard for some trials: started by the manager on this machine, listed, stopped.
import { board } from "./board.js";
import { el } from "./format.js";

const NAMED = 8;
const several = (trials) => trials.slice(0, NAMED).join(", ") + (trials.length > NAMED ? ` and ${trials.length - NAMED} more` : "");

export function tensorboard(trials) {
  const list = el("div", {});
  const problem = el("p", { class: "problem", role: "alert" });
  const start = el("button", { type: "button", class: "button primary", onclick: begin }, `Start for ${trials.length} trial${trials.length === 1 ? "" : "s"}`);
  const stop = el("button", { type: "button", class: "button danger", onclick: end }, "Stop all TensorBoards");
  const dialog = el(
    "dialog",
    { class: "native", "aria-label": "TensorBoard", onclick: (event) => event.target === dialog && dialog.close(), onclose: () => dialog.remove() },
    el("header", { class: "sheet-head" }, el("h2", {}, "TensorBoard"), el("button", { type: "button", class: "button quiet", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    el("div", { class: "sheet-body" }, el("p", { class: "hint" }, "Shows what trials wrote to $NNI_OUTPUT_DIR/tensorboard. Runs are called number-id. It ends with the manager."), trials.length ? el("p", {}, `Trials: ${several(trials)}`) : null, list, problem, el("div", { class: "row end" }, stop, trials.length ? start : null)),
  );
  document.body.append(dialog);
  dialog.showModal();
  refresh();

  // Through the manager: whoever sees this page reaches that, and perhaps nothing else of this machine.
  const address = (task) => `${board.api.replace(/\/api\/v1\/nni$/, "")}/tensorboard/${task.id}/`;

  async function refresh() {
    const tasks = (await board.json("/tensorboard-tasks").catch(() => [])).filter((task) => task.status === "RUNNING");
    stop.hidden = !tasks.length;
    list.replaceChildren(
      tasks.length
        ? el("ul", { class: "tasks" }, ...tasks.map((task) => el("li", {}, el("a", { href: address(task), target: "_blank", rel: "noopener" }, `${task.id}, port ${task.port}`), ` for ${several(task.trialJobIdList)}`)))
        : el("p", { class: "hint" }, trials.length ? "" : "None runs. Select trials in the table to start one."),
    );
  }

  async function begin() {
    problem.textContent = "";
    start.disabled = true;
    start.textContent = "Starting …";
    try {
      const task = await board.json("/tensorboard", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ trials: trials.join(",") }) });
      window.open(address(task), "_blank", "noopener");
      start.hidden = true;
    } catch (error) {
      problem.textContent = error.message;
      start.disabled = false;
      start.textContent = "Try again";
    }
    refresh();
  }

  async function end() {
    await fetch(board.url("/tensorboard-tasks"), { method: "DELETE" });
    refresh();
  }
}
