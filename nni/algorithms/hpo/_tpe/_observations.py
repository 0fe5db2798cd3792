"""What TPE has seen: losses in order, to be split into good and bad."""

from __future__ import annotations

import math
from bisect import bisect_right, insort

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Losses:
    """The losses of all observations, kept in order. An observation is known by its number, from 0."""

    def __init__(self) -> None:
        self._order: list[tuple[float, int]] = []
        self._failures = 0

    def __len__(self) -> int:
        return len(self._order)

    def add(self, loss: float) -> int:
        """Add a loss and return the number of the observation. NaN is a failure, as bad as infinity."""
        number = len(self._order)
        loss = math.inf if math.isnan(loss) else loss
        self._failures += loss == math.inf
        insort(self._order, (loss, number))
        return number

    def good(self, count: int) -> NDArray[np.bool_]:
        """Return a mask, shape (n,), of the ``count`` smallest losses; of equal ones the earlier, never a failure."""
        count = min(count, len(self) - self._failures)
        good = np.zeros(len(self), dtype=bool)
        good[[number for _, number in self._order[:count]]] = True
        return good

    def share_up_to(self, kind: str) -> float:
        """Return the share of losses that are no larger than their ``min``, ``mean`` or ``max``.

        Of losses that are numbers; 1 if there is none.
        """
        losses = [loss for loss, _ in self._order if math.isfinite(loss)]
        if not losses:
            return 1.0
        lie = {"min": losses[0], "max": losses[-1], "mean": math.fsum(losses) / len(losses)}[kind]
        return bisect_right(losses, lie) / len(losses)


class Rows:
    """A growing array of rows."""

    def __init__(self, columns: int) -> None:
        self._rows: Floats = np.empty((16, columns))
        self._length = 0

    def add(self, row: Floats) -> None:
        """Append a row."""
        if self._length == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._length] = row
        self._length += 1

    @property
    def all(self) -> Floats:
        """All rows, oldest first."""
        return self._rows[: self._length]
