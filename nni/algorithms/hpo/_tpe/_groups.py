"""Groups of dimensions that are active together: the top of a space, and each branch of each nested choice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._tpe._observations import Floats, Losses, Rows
from nni.search_space import Dimension, Encoder, Kind

LARGEST_UNORDERED_RANDINT = 64
"""``randint`` is unordered (HPO-216) up to this many values. Beyond it, no value is seen often enough to learn
anything about it alone, and neighbours are taken to be alike, as in ``quniform``."""

_LARGEST_TABLE = 2048  # bins; kernels of a column with more are evaluated per observation, as there are fewer of those


class Group:
    """Dimensions that are active together, with the rows of all observations in which they were.

    Attributes
    ----------
    columns
        Indices of the dimensions among those of the encoder.
    scale
        Their scales.
    categorical
        ``(position in the group, number of options)`` of those without an order.
    numeric
        Positions in the group of those with an order.
    lower, upper
        Bounds of the latter on the internal scale.
    unbounded
        Which of the latter have a normal prior.
    bins
        Positions, among the latter, of those whose values are rounded, each with the internal coordinates of all its
        values if these are few (else None).
    rows, losses
        The observations in which the group was active, oldest first.
    branches
        The groups below, by position of the choice and index of the option.
    """

    def __init__(self, encoder: Encoder, parent: int | None = None, option: int | None = None) -> None:
        own = [d for d in encoder.dimensions if (d.parent, d.parent_option) == (parent, option)]
        self.columns = np.array([d.index for d in own], dtype=np.intp)
        self.scale = encoder.scale.take(self.columns)
        self.categorical = [(i, d.size or 1) for i, d in enumerate(own) if is_unordered(d)]
        ordered = [i for i, d in enumerate(own) if not is_unordered(d)]
        self.numeric = np.array(ordered, dtype=np.intp)
        self.lower = self.scale.lower[self.numeric]
        self.upper = self.scale.upper[self.numeric]
        self.unbounded = np.isinf(self.upper)
        self.bins = [(k, self._centres(i, own[i])) for k, i in enumerate(ordered) if own[i].kind is not Kind.REAL]
        self.rows = Rows(len(own))
        self.losses = Losses()
        self.branches = {
            (position, option): Group(encoder, d.index, option)
            for position, d in enumerate(own)
            for option in sorted(getattr(d.parameter, "branches", {}))
        }

    def _centres(self, position: int, dimension: Dimension) -> Floats | None:
        if dimension.size is None or dimension.size > _LARGEST_TABLE:
            return None
        scale = self.scale.take(position)
        values = np.clip((scale.first + np.arange(dimension.size)) * scale.q, scale.low, scale.high)
        return scale.internal(values)

    def active(self, row: Floats) -> Iterator[Group]:
        """Yield this group and those below it that are active in an encoded configuration, shape (d,)."""
        yield self
        for (position, option), group in self.branches.items():
            if row[self.columns[position]] == option:
                yield from group.active(row)

    def add(self, row: Floats, loss: float) -> None:
        """Take in an observation: an encoded configuration, shape (d,), in which the group is active."""
        self.rows.add(row[self.columns])
        self.losses.add(loss)

    def bin_numbers(self, rows: Floats) -> NDArray[np.intp]:
        """Return the positions of rows among the values of their columns; meaningful for rounded columns only."""
        with np.errstate(invalid="ignore"):
            numbers = np.rint(self.scale.values(rows) / self.scale.q) - self.scale.first
            return np.where(np.isfinite(numbers), numbers, 0).astype(np.intp)


def is_unordered(dimension: Dimension) -> bool:
    """Tell whether values of a dimension are taken to have no order."""
    small = dimension.size is not None and dimension.size <= LARGEST_UNORDERED_RANDINT
    return dimension.kind is Kind.CATEGORICAL or (dimension.kind is Kind.INTEGER and small)
