"""A random forest for regression with a predictive variance, grown for all trees at once, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._smac._splits import Floats, Integers, Level, Splits, best_splits

MISSING = -1.0  # where a numeric column is NaN: below [0, 1], so that a split can tell
LEAST_VARIANCE = 1e-20  # where all trees agree, nothing is to be gained, and next to nothing is said


@dataclass(frozen=True)
class Forest:
    """Grown trees as flat tables, one entry per node; the first ``trees`` nodes are the roots.

    Attributes
    ----------
    trees
        Number of trees.
    categories
        Shape (d,): the number of options of a categorical column, 0 for a numeric one.
    column
        The column that a node splits on; -1 in a leaf.
    threshold
        Of numeric splits: values up to it go left.
    subset
        Of categorical splits: where the node's row of ``left_options`` begins.
    left
        The left child; the right one stands behind it.
    mean, variance
        Of the targets in a node.
    left_options
        Whether an option goes left, for all categorical splits end to end; the option behind the last is "missing".
    """

    trees: int
    categories: Integers
    column: Integers
    threshold: Floats
    subset: Integers
    left: Integers
    mean: Floats
    variance: Floats
    left_options: NDArray[np.bool_]

    def leaves(self, rows: Floats) -> Integers:
        """Return the leaf of every row in every tree, shape (n, trees)."""
        prepared = prepare(rows, self.categories)
        node = np.tile(np.arange(self.trees), len(rows))
        row = np.repeat(np.arange(len(rows)), self.trees)
        active = np.flatnonzero(self.column[node] >= 0)
        while len(active):
            at = node[active]
            column = self.column[at]
            value = prepared[row[active], column]
            goes_left = value <= self.threshold[at]
            by_option = np.flatnonzero(self.subset[at] >= 0)
            if len(by_option):
                option = self.subset[at[by_option]] + value[by_option].astype(np.int64)
                goes_left[by_option] = self.left_options[option]
            node[active] = at = self.left[at] + ~goes_left
            active = active[self.column[at] >= 0]
        return node.reshape(len(rows), self.trees)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance at rows, shape (n,) each.

        The variance is that of the mixture of the leaves: within leaves, and between trees (Hutter et al. 2014,
        "Algorithm runtime prediction: Methods & evaluation", section 4.3.2).
        """
        leaves = self.leaves(rows)
        means = self.mean[leaves]
        variance = self.variance[leaves].mean(axis=1) + means.var(axis=1)
        return means.mean(axis=1), np.maximum(variance, LEAST_VARIANCE)

    def predict_mean(self, rows: Floats) -> Floats:
        """Return the mean at rows, shape (n,)."""
        return np.asarray(self.mean[self.leaves(rows)].mean(axis=1))


def prepare(rows: Floats, categories: Integers) -> Floats:
    """Return rows without NaN: an option of its own in a categorical column, ``MISSING`` in a numeric one."""
    return np.where(np.isnan(rows), np.where(categories > 0, categories, MISSING), rows)


def grow(
    rows: Floats,
    targets: Floats,
    categories: Integers,
    rng: np.random.Generator,
    *,
    trees: int,
    smallest_split: int = 3,
    column_share: float = 5 / 6,
) -> Forest:
    """Grow a forest (Hutter, Hoos and Leyton-Brown 2011, section 4.1).

    Each tree sees a bootstrap sample of the observations, and each of its nodes a random subset of the columns. A
    numeric split lies at random between the two neighbours it separates, so that the mean of many trees is nearly
    linear between observations; a categorical one sends any subset of the options to the left.

    Parameters
    ----------
    rows : array, shape (n, d)
        Numbers in [0, 1], or indices of options; NaN where a column is not active.
    targets : array, shape (n,)
        Finite numbers.
    categories : array, shape (d,)
        The number of options of a categorical column, 0 for a numeric one.
    rng
        The only source of randomness.
    trees
        How many.
    smallest_split
        A node with fewer observations is a leaf.
    column_share
        Share of the columns that a node may split on.
    """
    growing = _Growing(prepare(rows, categories), targets, categories, trees, rng)
    while growing.level is not None:
        growing.grow_level(smallest_split, column_share)
    return growing.forest()


class _Growing:
    """A forest whose last level is still open."""

    def __init__(
        self, rows: Floats, targets: Floats, categories: Integers, trees: int, rng: np.random.Generator
    ) -> None:
        self._categories = categories
        self._trees = trees
        self._rng = rng
        self._parts: list[tuple[Integers, Floats, Integers, Integers, Floats, Floats]] = []
        self._left_options: list[NDArray[np.bool_]] = []
        self._options = 0
        self._nodes = trees
        picks = rng.integers(len(rows), size=(trees, len(rows)))
        counts = np.zeros((trees, len(rows)), dtype=np.int64)  # a repeated observation is one with a larger weight
        np.add.at(counts, (np.repeat(np.arange(trees), len(rows)), picks.ravel()), 1)
        tree, index = np.nonzero(counts)
        starts = np.searchsorted(tree, np.arange(trees))
        self.level: Level | None = Level.of(rows[index], targets[index], counts[tree, index], starts, categories)

    def grow_level(self, smallest_split: int, column_share: float) -> None:
        """Turn the open nodes into splits and leaves; the children are the next open nodes."""
        level = self.level
        assert level is not None
        splits = best_splits(level, self._categories, self._rng, smallest_split, column_share)
        self._note(level, splits)
        self._nodes += 2 * int((splits.column >= 0).sum())
        self.level = level.children(splits) if (splits.column >= 0).any() else None

    def _note(self, level: Level, splits: Splits) -> None:
        is_split = splits.column >= 0
        left = np.where(is_split, self._nodes + 2 * (np.cumsum(is_split) - 1), -1)
        subset = np.where(splits.subset >= 0, splits.subset + self._options, -1)
        self._options += len(splits.left_options)
        self._left_options.append(splits.left_options)
        self._parts.append((splits.column, splits.threshold, subset, left, level.mean, level.variance))

    def forest(self) -> Forest:
        """Return what was grown."""
        parts = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        column, threshold, subset, left, mean, variance = parts
        options = np.concatenate(self._left_options)
        return Forest(self._trees, self._categories, column, threshold, subset, left, mean, variance, options)
