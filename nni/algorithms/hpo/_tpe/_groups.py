"""Groups of dimensions that are active together: the top of a space, and each branch of each nested choice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._tpe._observations import Floats, Losses, Rows
from nni.search_space import Dimension, Encoder, Kind

LARGEST_UNORDERED_RANDINT = 64
"""``randint`` is unordered (HPO-216) up to this many values. Beyond it, no value is seen often enough to learn
anything about it alone, and neighbours are taken to be alike, as in ``quniform``."""

_FEW = 2048  # values for which kernels are worked out once each, instead of once per observation


Place = tuple[int | None, int | None]  # the column of a choice and the index of its option; Nones at the top
Members = dict[Place, list[Dimension]]


def top_group(encoder: Encoder) -> Group:
    """Return the group at the top of a space, with all others below it."""
    members: Members = defaultdict(list)
    for dimension in encoder.dimensions:
        members[dimension.parent, dimension.parent_option].append(dimension)
    return Group(encoder, members)


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
    values_of
        The internal coordinates of all values of those of the latter that have few values, by position among them.
    rows, losses
        The observations in which the group was active, oldest first.
    branches
        The groups below, by position of the choice and index of the option.
    """

    def __init__(self, encoder: Encoder, members: Members, place: Place = (None, None)) -> None:
        own = members.get(place, [])
        self.columns = np.array([d.index for d in own], dtype=np.intp)
        self.scale = encoder.scale.take(self.columns)
        self.categorical = [(i, d.size or 1) for i, d in enumerate(own) if is_unordered(d)]
        self._integers = {i for i, d in enumerate(own) if d.kind is Kind.INTEGER}
        ordered = [i for i, d in enumerate(own) if not is_unordered(d) and d.lower < d.upper]  # not constants
        self.numeric = np.array(ordered, dtype=np.intp)
        self.lower = self.scale.lower[self.numeric]
        self.upper = self.scale.upper[self.numeric]
        self.unbounded = np.isinf(self.upper)
        self.values_of = {k: self._all_values(i) for k, i in enumerate(ordered) if (own[i].size or inf) <= _FEW}
        self.rows = Rows(len(own))
        self.losses = Losses()
        self.branches = {
            (position, option): Group(encoder, members, (d.index, option))
            for position, d in enumerate(own)
            for option in sorted(getattr(d.parameter, "branches", {}))
        }

    def _all_values(self, position: int) -> Floats:
        scale = self.scale.take(position)
        steps = np.arange(scale.first, scale.last + 1)
        return scale.internal(np.clip(steps * scale.q, scale.low, scale.high))

    def option(self, position: int, options: int, uniform: Floats) -> Floats:
        """Turn uniform draws on [0, 1) into internal coordinates of options of an unordered dimension."""
        numbers = np.floor(uniform * options)
        return np.asarray((numbers + 0.5) / options if position in self._integers else numbers)

    def numbers_of(self, k: int, internal: Floats) -> NDArray[np.intp]:
        """Return which of :attr:`values_of` the k-th numeric dimension coordinates are."""
        scale = self.scale.take(self.numeric[k])
        return np.asarray(np.rint(scale.values(internal) / scale.q) - scale.first, dtype=np.intp)

    def edges(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return the ends of the bins that entries of rows are in, each of shape (n, g); NaN for real dimensions."""
        return self.scale.edges(self.scale.values(rows))

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


def is_unordered(dimension: Dimension) -> bool:
    """Tell whether values of a dimension are taken to have no order."""
    small = dimension.size is not None and dimension.size <= LARGEST_UNORDERED_RANDINT
    return dimension.kind is Kind.CATEGORICAL or (dimension.kind is Kind.INTEGER and small)
