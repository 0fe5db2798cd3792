"""The best split of every node of a level of a forest, found for all nodes and columns at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_GAIN = 1e-12  # of a node's spread; less than that is rounding noise


@dataclass(frozen=True)
class Splits:
    """One entry per node of a level; see :class:`~nni.algorithms.hpo._smac._forest.Forest`."""

    column: Integers
    threshold: Floats
    subset: Integers
    left_options: NDArray[np.bool_]


@dataclass(frozen=True)
class Level:
    """The observations in the open nodes of a forest.

    Attributes
    ----------
    rows, targets, weights
        The observations, those of a node side by side: shapes (s, d), (s,), (s,).
    starts
        Where each node begins.
    order
        Shape (columns, s): for each numeric column, the observations by node and then by value.
    numeric
        The numeric columns.
    node, mean, variance, total
        The node of each observation, and of each node the mean, the variance, and the sum of weights.
    """

    rows: Floats
    targets: Floats
    weights: Floats
    starts: Integers
    order: Integers
    numeric: Integers
    node: Integers
    mean: Floats
    variance: Floats
    total: Floats

    @classmethod
    def of(cls, rows: Floats, targets: Floats, weights: Integers, starts: Integers, categories: Integers) -> Level:
        """Return the first level: a node for each tree."""
        numeric = np.flatnonzero(categories == 0)
        node = _numbers(starts, len(rows))
        order = np.array([np.lexsort((rows[:, column], node)) for column in numeric], dtype=np.int64)
        order = order.reshape(len(numeric), len(rows))
        return cls._with_sums(rows, targets, weights.astype(float), starts, order, numeric)

    @classmethod
    def _with_sums(
        cls, rows: Floats, targets: Floats, weights: Floats, starts: Integers, order: Integers, numeric: Integers
    ) -> Level:
        node = _numbers(starts, len(rows))
        total = np.add.reduceat(weights, starts)
        mean = np.add.reduceat(weights * targets, starts) / total
        variance = np.add.reduceat(weights * (targets - mean[node]) ** 2, starts) / total
        return cls(rows, targets, weights, starts, order, numeric, node, mean, variance, total)

    def children(self, splits: Splits) -> Level:
        """Return the next level: two nodes for each split; the observations in leaves are left out."""
        column = splits.column[self.node]
        kept = column >= 0
        value = self.rows[np.arange(len(self.rows)), column]
        goes_left = value <= splits.threshold[self.node]
        by_option = np.flatnonzero(splits.subset[self.node] >= 0)
        option = splits.subset[self.node[by_option]] + value[by_option].astype(np.int64)
        goes_left[by_option] = splits.left_options[option]
        rank = np.cumsum(splits.column >= 0) - 1
        child = np.where(kept, 2 * rank[self.node] + ~goes_left, -1)
        stay = np.argsort(child, kind="stable")[int((~kept).sum()) :]
        position = np.full(len(self.rows), -1)
        position[stay] = np.arange(len(stay))
        order = self._partition(child, position)
        starts = np.searchsorted(child[stay], np.arange(2 * (rank[-1] + 1)))
        return self._with_sums(self.rows[stay], self.targets[stay], self.weights[stay], starts, order, self.numeric)

    def _partition(self, child: Integers, position: Integers) -> Integers:
        """Carry the order by value over to the children, without sorting again."""
        if not len(self.numeric):
            return np.empty((0, int((child >= 0).sum())), dtype=np.int64)
        inside = child[self.order]
        kept = inside >= 0
        order, inside = self.order[kept], inside[kept]
        count = len(order) // len(self.numeric)
        key = inside.reshape(len(self.numeric), count)
        by_child = np.argsort(key.astype(np.min_scalar_type(key.max())), axis=1, kind="stable")  # 16 bits: a radix sort
        carried = np.take_along_axis(order.reshape(len(self.numeric), count), by_child, axis=1)
        return position[carried]


def best_splits(
    level: Level, categories: Integers, rng: np.random.Generator, smallest_split: int, column_share: float
) -> Splits:
    """Find the split of each node that reduces the squared error most, among a random share of the columns.

    Nodes with fewer than ``smallest_split`` observations, or that no column divides, get none.
    """
    nodes = len(level.starts)
    gains = np.full((len(categories), nodes), -np.inf)
    cut = np.zeros((len(categories), nodes), dtype=np.int64)
    gains[level.numeric], cut[level.numeric] = _numeric_gains(level)
    tables = {}
    for number in np.flatnonzero(categories > 0).tolist():
        tables[number] = table = _OptionTable(level, number, int(categories[number]) + 1)
        gains[number], cut[number] = table.gains()
    allowed = _some_columns(gains, rng, column_share)
    column = np.argmax(np.where(allowed, gains, -np.inf), axis=0)
    best = gains[column, np.arange(nodes)]
    is_split = (best > _GAIN * (level.variance * level.total + 1e-300)) & (level.total >= smallest_split)
    column = np.where(is_split, column, -1)
    threshold = _thresholds(level, column, cut, rng)
    subset, left_options = _subsets(column, cut, tables, rng)
    return Splits(column, threshold, subset, left_options)


def _some_columns(gains: Floats, rng: np.random.Generator, share: float) -> NDArray[np.bool_]:
    """Pick columns for each node, among those that divide it: one that is constant there is no choice."""
    dividing = gains > -np.inf
    draws = np.where(dividing, rng.random(gains.shape), 2.0)
    count = np.ceil(share * dividing.sum(axis=0))
    return np.asarray(np.argsort(np.argsort(draws, axis=0), axis=0) < count)


def _numeric_gains(level: Level) -> tuple[Floats, Integers]:
    """Return the gain of the best cut of each numeric column in each node, and the position before it."""
    if not len(level.numeric):
        return np.empty((0, len(level.starts))), np.empty((0, len(level.starts)), dtype=np.int64)
    values = level.rows[level.order, level.numeric[:, None]]
    centred = level.weights * (level.targets - level.mean[level.node])  # sums to 0 in a node
    left = np.cumsum(centred[level.order], axis=1)
    weight = np.cumsum(level.weights[level.order], axis=1)
    before = np.cumsum(level.total) - level.total
    weight -= before[level.node]
    rest = level.total[level.node] - weight
    is_cut = np.zeros(values.shape, dtype=bool)
    is_cut[:, :-1] = values[:, 1:] > values[:, :-1]
    is_cut[:, level.starts[1:] - 1] = False  # the next one is of another node
    gain = np.full(values.shape, -np.inf)
    np.divide(left**2, weight, out=gain, where=is_cut)
    gain[is_cut] += (left[is_cut] ** 2) / rest[is_cut]
    best = np.maximum.reduceat(gain, level.starts, axis=1)
    first = np.where(gain == best[:, level.node], np.arange(len(level.node)), len(level.node))
    return best, np.minimum.reduceat(first, level.starts, axis=1)


def _thresholds(level: Level, column: Integers, cut: Integers, rng: np.random.Generator) -> Floats:
    threshold = np.full(len(column), np.inf)
    share = rng.random(len(column))
    place = np.full(cut.shape[0], -1)
    place[level.numeric] = np.arange(len(level.numeric))
    nodes = np.flatnonzero((column >= 0) & (place[column] >= 0))
    if len(nodes):
        position = cut[column[nodes], nodes]
        line = place[column[nodes]]
        below = level.rows[level.order[line, position], column[nodes]]
        above = level.rows[level.order[line, position + 1], column[nodes]]
        between = below + share[nodes] * (above - below)
        threshold[nodes] = np.where(between < above, between, below)
    return threshold


class _OptionTable:
    """The options of one categorical column that occur in each node, by the mean target of the observations with it.

    Of all subsets that could go left the best one is a beginning of this order (Fisher 1958; Breiman et al. 1984,
    section 4.2.2, theorem 4.5).
    """

    def __init__(self, level: Level, column: int, options: int) -> None:
        self.options = options
        self.nodes = len(level.starts)
        key = level.node * options + level.rows[:, column].astype(np.int64)
        pairs, inverse = np.unique(key, return_inverse=True)
        weight = np.bincount(inverse, weights=level.weights)
        centred = np.bincount(inverse, weights=level.weights * (level.targets - level.mean[level.node]))
        node = pairs // options
        order = np.lexsort((centred / weight, node))
        self._node, self._option = node[order], pairs[order] % options
        self._starts = np.searchsorted(self._node, np.arange(self.nodes))
        self._left = np.cumsum(centred[order])
        self._weight = np.cumsum(weight[order]) - (np.cumsum(level.total) - level.total)[self._node]
        self._rest = level.total[self._node] - self._weight

    def gains(self) -> tuple[Floats, Integers]:
        """Return the gain of the best subset in each node, and the position of its last option."""
        is_cut = np.ones(len(self._node), dtype=bool)
        is_cut[np.append(self._starts[1:], len(self._node)) - 1] = False
        gain = np.full(len(self._node), -np.inf)
        gain[is_cut] = self._left[is_cut] ** 2 * (1 / self._weight[is_cut] + 1 / self._rest[is_cut])
        best = np.maximum.reduceat(gain, self._starts)
        first = np.where(gain == best[self._node], np.arange(len(gain)), len(gain))
        return best, np.minimum.reduceat(first, self._starts)

    def left_options(self, nodes: Integers, cut: Integers, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which options go left in some of the nodes, shape (nodes, options); those unseen, at random."""
        goes_left = rng.random((len(nodes), self.options)) < 0.5
        line = np.full(self.nodes, -1)
        line[nodes] = np.arange(len(nodes))
        seen = np.flatnonzero(line[self._node] >= 0)
        goes_left[line[self._node[seen]], self._option[seen]] = seen <= cut[self._node[seen]]
        return goes_left


def _subsets(
    column: Integers, cut: Integers, tables: dict[int, _OptionTable], rng: np.random.Generator
) -> tuple[Integers, NDArray[np.bool_]]:
    subset = np.full(len(column), -1)
    parts = [np.empty(0, dtype=bool)]
    length = 0
    for number, table in tables.items():
        nodes = np.flatnonzero(column == number)
        subset[nodes] = length + table.options * np.arange(len(nodes))
        parts.append(table.left_options(nodes, cut[number], rng).ravel())
        length += table.options * len(nodes)
    return subset, np.concatenate(parts)


def _numbers(starts: Integers, length: int) -> Integers:
    """Return the number of the segment that each position is in."""
    marks = np.zeros(length, dtype=np.int64)
    marks[starts[1:]] = 1
    return np.cumsum(marks)
