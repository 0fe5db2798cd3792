"""Spaces of numbers as a unit cube, for models that work with distances."""

from __future__ import annotations

import numpy as np

from nni.algorithms.hpo._history import Floats, History
from nni.search_space import Choice, SearchSpace


class NumericHistory(History):
    """A history whose configurations are also points of the unit cube.

    A choice among numbers has its options evenly spaced, in ascending order: the steps between them say what the user
    takes for equally far (16, 32, 64).

    Parameters
    ----------
    space
        A space without branches whose choices are all among numbers.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        self._places: dict[int, Floats] = {}  # of a choice: where each option is
        for dimension in self.encoder.dimensions:
            if isinstance(dimension.parameter, Choice):
                options = np.array(dimension.parameter.options, dtype=float)
                distinct = np.unique(options)
                self._places[dimension.index] = np.searchsorted(distinct, options) / max(len(distinct) - 1, 1)

    def points(self, rows: Floats) -> Floats:
        """Return rows as points of the unit cube, shape (n, d)."""
        points = np.array(rows)
        for column, places in self._places.items():
            points[:, column] = places[rows[:, column].astype(np.int64)]
        return points

    def nearest(self, points: Floats) -> Floats:
        """Return the rows of configurations nearest to points, shape (n, d)."""
        rows = np.clip(points, 0.0, 1.0)
        for column, places in self._places.items():
            rows[:, column] = np.abs(rows[:, [column]] - places).argmin(axis=1)
        return self.snap(rows)

    def snapped(self, points: Floats) -> Floats:
        """Move points to where configurations are."""
        return self.points(self.nearest(points))
