// Which of two results is better. Of an advisor's trials a larger budget comes first, whatever the values: an error
// after one epoch says little beside one after 81.
import { board } from "./board.js";

export const BUDGET = "TRIAL_BUDGET";

export class Ranking {
  constructor({ maximize, budgets }) {
    this.maximize = maximize;
    this.budgets = budgets;
  }

  budget(trial) {
    const value = this.budgets ? trial.p[board.parameters.indexOf(BUDGET)] : null;
    return typeof value === "number" ? value : null;
  }

  // All that occur, the smallest first; none where trials have no budgets.
  all(trials) {
    const found = new Set(trials.map((trial) => this.budget(trial)));
    found.delete(null);
    return [...found].sort((a, b) => a - b);
  }

  // For sorting `{ trial, value }`, best first.
  compare(a, b) {
    const [x, y] = [this.budget(a.trial) ?? -Infinity, this.budget(b.trial) ?? -Infinity];
    if (x !== y) return y - x;
    return this.maximize ? b.value - a.value : a.value - b.value;
  }

  // Gives each row, in the order of the rows, the best value so far: of the largest budget so far.
  soFar(rows) {
    let best = null;
    for (const row of rows) {
      if (!best || this.compare(row, best) < 0) best = row;
      row.best = best.value;
    }
    return rows;
  }
}
