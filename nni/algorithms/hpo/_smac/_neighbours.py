"""Local search: from a configuration to the best of those that differ in one variable, as long as it gets better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nni.algorithms.hpo._history import Floats, History
from nni.algorithms.hpo._smac._splits import Integers

SPREADS = (0.2, 0.2, 0.05, 0.01)  # of the neighbours of a number, in parts of its range
MOST_OPTIONS = 8  # other options of a choice that are neighbours
MOST = 64  # neighbours of one configuration; a random selection where it would have more


class Neighbourhood:
    """Neighbours of configurations: one variable changed, and what depends on it drawn anew.

    Parameters
    ----------
    history
        Knows the space.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        dimensions = history.encoder.dimensions
        numbers = [d.index for d in dimensions if not history.options[d.index] and d.size != 1]
        self._numbers = np.array(numbers, dtype=np.int64)
        self._steps = np.array([1 / d.size if d.size else 0.0 for d in dimensions])  # at least to the next bin
        self._choices = np.array([d.index for d in dimensions if history.options[d.index] > 1], dtype=np.int64)

    def climb(
        self, starts: Floats, acquisition: Callable[[Floats], Floats], steps: int, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Search from several rows at once; return where it ended and the acquisition there, shapes (n, d) and (n,)."""
        current, scores = starts.copy(), acquisition(starts)
        moving = np.arange(len(starts))
        for _ in range(steps):
            rows, origin = self.of(current[moving], rng)
            if not len(rows):
                break
            found = acquisition(rows)
            order = np.lexsort((rng.random(len(found)), -found, origin))
            best = order[np.unique(origin[order], return_index=True)[1]]
            better = best[found[best] > scores[moving[origin[best]]]]
            if not len(better):
                break
            moving = moving[origin[better]]
            current[moving], scores[moving] = rows[better], found[better]
        return current, scores

    def of(self, rows: Floats, rng: np.random.Generator) -> tuple[Floats, Integers]:
        """Return the neighbours of rows, and which row each is a neighbour of."""
        changes = self._changes(rows, rng)
        row, column, value = (np.concatenate(part) for part in zip(*changes, strict=True))
        active = ~np.isnan(rows[row, column])
        row, column, value = row[active], column[active], value[active]
        order = np.lexsort((rng.random(len(row)), row))
        row, column, value = row[order], column[order], value[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        few = rank < MOST
        row, column, value = row[few], column[few], value[few]
        filled = np.where(np.isnan(rows), self._anything(len(rows), rng), rows)
        neighbours = filled[row]
        neighbours[np.arange(len(row)), column] = value
        return self._history.snap(neighbours), row

    def _changes(self, rows: Floats, rng: np.random.Generator) -> list[tuple[Integers, Integers, Floats]]:
        changes = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        all_rows = np.arange(len(rows))
        for spread in SPREADS:
            shift = spread * rng.standard_normal((len(rows), len(self._numbers)))
            shift = np.copysign(np.maximum(np.abs(shift), self._steps[self._numbers]), shift)
            value = _reflected(rows[:, self._numbers] + shift)
            row, column = np.repeat(all_rows, len(self._numbers)), np.tile(self._numbers, len(rows))
            changes.append((row, column, value.ravel()))
        for column in self._choices:
            options = int(self._history.options[column])
            jumps = min(options - 1, MOST_OPTIONS)
            shift = 1 + rng.permuted(np.tile(np.arange(options - 1), (len(rows), 1)), axis=1)[:, :jumps]
            value = (rows[:, [column]] + shift) % options
            changes.append((np.repeat(all_rows, jumps), np.full(value.size, column), value.ravel()))
        return changes

    def _anything(self, count: int, rng: np.random.Generator) -> Floats:
        """Return draws for every column, active or not."""
        draws = rng.random((count, len(self._history.options)))
        options = self._history.options
        return np.where(options > 0, np.floor(draws * options), draws)


def _reflected(values: Floats) -> Floats:
    """Bring numbers back into [0, 1], mirrored at its ends."""
    return np.asarray(1 - np.abs(1 - np.abs(values) % 2))
