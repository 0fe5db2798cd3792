"""A covariance for configurations: numbers, categories, and branches that are not always there.

Within a group of dimensions that are active together, the covariance is a Matérn function of one weighted distance, to
which a category adds a constant where two configurations differ. A choice with branches multiplies it with
``s + v_b k_b`` where both configurations took branch b, and with ``s`` where they took different ones; k_b is the
covariance of the branch's own group. It is a sum of products of covariances, hence one itself, whatever is nested in
what. (Related: Swersky et al. 2014, "Raiders of the Lost Architecture"; Ma and Blaschko 2020, "Additive
Tree-Structured Conditional Parameter Spaces in Bayesian Optimization".)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._gp._matern import Floats, matern
from nni.search_space import Choice, Encoder, Kind

Place = tuple[int | None, int | None]  # the column of a choice and the index of its option; Nones at the top


@dataclass(frozen=True)
class Feature:
    """What one hyperparameter weighs: a distance along one column.

    Attributes
    ----------
    column
        The column of the rows.
    table : array of shape (options, features), optional
        For a categorical column: the place of each option; options that differ are at distance 1. None: the column is
        a number already.
    """

    column: int
    table: Floats | None = None

    @property
    def width(self) -> int:
        """Number of embedded coordinates."""
        return 1 if self.table is None else self.table.shape[1]


@dataclass
class Embedded:
    """Rows as one group of a kernel sees them.

    Attributes
    ----------
    points : array, shape (n, e)
        Embedded coordinates.
    parts
        By column of a choice and index of its option: which of the rows took the branch, and they as it sees them.
    """

    points: Floats
    parts: dict[tuple[int, int], tuple[NDArray[np.intp], Embedded]] = field(default_factory=dict)


@dataclass
class _Tape:
    """What the way forward leaves for the way back."""

    slope: Floats
    body: Floats
    factors: dict[int, Floats]
    parts: dict[tuple[int, int], tuple[Floats, _Tape]]


class Kernel:
    """The covariance of one group of dimensions and of all branches below it.

    Hyperparameters are logarithms in one vector, in this order: the length scale of each feature; for each choice with
    branches its ``s``, and for each of its branches ``v`` and then the hyperparameters of the branch's own kernel.

    Parameters
    ----------
    features
        The distances.
    branches
        By column of a choice: by index of the option, the kernel of the branch.
    nu
        Smoothness of the Matérn function.

    Attributes
    ----------
    size : int
        Number of hyperparameters.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        branches: Mapping[int, Mapping[int, Kernel]] | None = None,
        nu: float = 2.5,
    ) -> None:
        self.features = tuple(features)
        self.branches = {column: dict(options) for column, options in (branches or {}).items()}
        self.nu = nu
        self._owner = np.repeat(np.arange(len(self.features)), [f.width for f in self.features])
        self.size = len(self.features)
        self._s: dict[int, int] = {}
        self._v: dict[tuple[int, int], int] = {}
        for column, options in self.branches.items():
            self._s[column] = self.size
            self.size += 1
            for option, kernel in options.items():
                self._v[column, option] = self.size
                self.size += 1 + kernel.size

    @classmethod
    def numeric(cls, columns: int, nu: float = 2.5) -> Kernel:
        """Return the plain kernel of numeric columns, one length scale each."""
        return cls([Feature(column) for column in range(columns)], nu=nu)

    @classmethod
    def of(cls, encoder: Encoder, nu: float = 2.5) -> Kernel:
        """Return the kernel of a search space; it takes rows of :func:`nni.search_space.to_unit`."""
        members: dict[Place, list[int]] = defaultdict(list)
        for d in encoder.dimensions:
            members[d.parent, d.parent_option].append(d.index)
        return cls._group(encoder, members, (None, None), nu)

    @classmethod
    def _group(cls, encoder: Encoder, members: Mapping[Place, list[int]], place: Place, nu: float) -> Kernel:
        features: list[Feature] = []
        branches: dict[int, dict[int, Kernel]] = {}
        for column in members.get(place, []):
            dimension = encoder.dimensions[column]
            parameter = dimension.parameter
            if isinstance(parameter, Choice) and parameter.branches:
                branches[column] = {
                    option: cls._group(encoder, members, (column, option), nu) for option in range(parameter.size)
                }
            elif dimension.kind is Kind.CATEGORICAL:
                features += _categorical(column, parameter) if isinstance(parameter, Choice) else []
            elif dimension.lower < dimension.upper:  # not a constant
                features.append(Feature(column))
        return cls(features, branches, nu)

    # ------------------------------------------------------------------------------------------ values

    def embed(self, rows: Floats) -> Embedded:
        """Return rows, shape (n, d), as this kernel sees them; what is not active is not read."""
        blocks = []
        for feature in self.features:
            numbers = rows[:, feature.column]
            blocks.append(numbers[:, None] if feature.table is None else feature.table[numbers.astype(np.intp)])
        points = np.concatenate(blocks, axis=1) if blocks else np.empty((len(rows), 0))
        parts: dict[tuple[int, int], tuple[NDArray[np.intp], Embedded]] = {}
        for column, options in self.branches.items():
            for option, kernel in options.items():
                which = np.flatnonzero(rows[:, column] == option)
                parts[column, option] = (which, kernel.embed(rows[which]))
        return Embedded(points, parts)

    def value(self, theta: Floats, a: Embedded, b: Embedded) -> tuple[Floats, _Tape]:
        """Return the covariance of all pairs, shape (n, m), and what :meth:`backward` needs."""
        weights = np.exp(-2 * theta[: len(self.features)])[self._owner]
        scaled_a, scaled_b = a.points * np.sqrt(weights), b.points * np.sqrt(weights)
        squared = (scaled_a**2).sum(axis=1)[:, None] + (scaled_b**2).sum(axis=1)[None] - 2 * scaled_a @ scaled_b.T
        if a is b:
            np.fill_diagonal(squared, 0.0)
        body, slope = matern(np.maximum(squared, 0.0), self.nu)
        tape = _Tape(slope, body, {}, {})
        total = body
        for column, options in self.branches.items():
            factor = np.full(body.shape, math.exp(theta[self._s[column]]))
            for option, kernel in options.items():
                (rows_a, part_a), (rows_b, part_b) = a.parts[column, option], b.parts[column, option]
                if len(rows_a) and len(rows_b):
                    inner, inner_tape = kernel.value(self._below(theta, column, option), part_a, part_b)
                    factor[np.ix_(rows_a, rows_b)] += math.exp(theta[self._v[column, option]]) * inner
                    tape.parts[column, option] = (inner, inner_tape)
            tape.factors[column] = factor
            total = total * factor
        return total, tape

    def diagonal(self, theta: Floats, a: Embedded) -> Floats:
        """Return the prior variance of rows, shape (n,)."""
        total = np.ones(len(a.points))
        for column, options in self.branches.items():
            factor = np.full(len(total), math.exp(theta[self._s[column]]))
            for option, kernel in options.items():
                rows, part = a.parts[column, option]
                inner = kernel.diagonal(self._below(theta, column, option), part)
                factor[rows] += math.exp(theta[self._v[column, option]]) * inner
            total *= factor
        return total

    # ------------------------------------------------------------------------------------------ gradients

    def by_theta(self, theta: Floats, a: Embedded, tape: _Tape, weight: Floats) -> Floats:
        """Return the gradient of ``sum(weight * covariance)`` of rows with themselves by the hyperparameters.

        ``weight`` must be symmetric.
        """
        gradient = np.zeros(self.size)
        inner_weight, outer = self._split(tape, weight)
        by_square = inner_weight * tape.slope
        points = a.points
        columns = 2 * (by_square.sum(axis=1) @ points**2) - 2 * ((by_square @ points) * points).sum(axis=0)
        shares = np.bincount(self._owner, columns, minlength=len(self.features))
        gradient[: len(self.features)] = -2 * np.exp(-2 * theta[: len(self.features)]) * shares
        for column, by_factor in outer.items():
            gradient[self._s[column]] = math.exp(theta[self._s[column]]) * by_factor.sum()
            for option, kernel in self.branches[column].items():
                if (column, option) not in tape.parts:
                    continue
                rows, part = a.parts[column, option]
                inner, inner_tape = tape.parts[column, option]
                start = self._v[column, option]
                own = by_factor[np.ix_(rows, rows)] * math.exp(theta[start])
                gradient[start] = (own * inner).sum()
                below = slice(start + 1, start + 1 + kernel.size)
                gradient[below] = kernel.by_theta(theta[below], part, inner_tape, own)
        return gradient

    def by_rows(
        self, theta: Floats, ab: tuple[Embedded, Embedded], tape: _Tape, weight: Floats, gradient: Floats
    ) -> None:
        """Add the gradient of ``sum(weight * covariance of a with b)`` by the numbers in the rows of a.

        Parameters
        ----------
        theta, ab, tape
            As of :meth:`value`.
        weight : array, shape (n, m)
            The weights.
        gradient : array, shape (n, d)
            To add to. Categorical columns get nothing.
        """
        a, b = ab
        inner_weight, outer = self._split(tape, weight)
        by_square = inner_weight * tape.slope
        by_point = 2 * (a.points * by_square.sum(axis=1)[:, None] - by_square @ b.points)
        place = 0
        for number, feature in enumerate(self.features):
            if feature.table is None:
                gradient[:, feature.column] += by_point[:, place] * math.exp(-2 * theta[number])
            place += feature.width
        for column, by_factor in outer.items():
            for option, kernel in self.branches[column].items():
                if (column, option) not in tape.parts:
                    continue
                (rows_a, part_a), (rows_b, part_b) = a.parts[column, option], b.parts[column, option]
                own = by_factor[np.ix_(rows_a, rows_b)] * math.exp(theta[self._v[column, option]])
                below = np.zeros((len(rows_a), gradient.shape[1]))
                inner_tape = tape.parts[column, option][1]
                kernel.by_rows(self._below(theta, column, option), (part_a, part_b), inner_tape, own, below)
                gradient[rows_a] += below

    def _split(self, tape: _Tape, weight: Floats) -> tuple[Floats, dict[int, Floats]]:
        """Return the weights of the Matérn part and of each choice's factor: the product rule."""
        outer: dict[int, Floats] = {}
        for column in tape.factors:
            others = weight * tape.body
            for other, factor in tape.factors.items():
                if other != column:
                    others = others * factor
            outer[column] = others
        for factor in tape.factors.values():
            weight = weight * factor
        return weight, outer

    def _below(self, theta: Floats, column: int, option: int) -> Floats:
        start = self._v[column, option] + 1
        return theta[start : start + self.branches[column][option].size]

    # ------------------------------------------------------------------------------------------ prior

    def prior(self, above: int = 0) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the normal prior of each (logarithmic) hyperparameter.

        That of length scales grows with the root of the number of dimensions (Hvarfner et al. 2024, "Vanilla Bayesian
        Optimization Performs Great in High Dimensions"), which counts those of the groups ``above``.
        """
        dimensions = max(len(self.features) + above, 1)
        mean, deviation = np.zeros(self.size), np.ones(self.size)
        mean[: len(self.features)] = LENGTH_PRIOR[0] + 0.5 * math.log(dimensions)
        deviation[: len(self.features)] = LENGTH_PRIOR[1]
        for column, options in self.branches.items():
            mean[self._s[column]] = math.log(0.3)
            for option, kernel in options.items():
                start = self._v[column, option]
                deviation[start] = 2.0  # a branch may matter much more than another
                below = slice(start + 1, start + 1 + kernel.size)
                mean[below], deviation[below] = kernel.prior(len(self.features))
        return mean, deviation


LENGTH_PRIOR = (-0.6, 1.0)
"""Mean and standard deviation of the logarithm of a length scale in one dimension, of a range of 1."""


def _categorical(column: int, choice: Choice) -> list[Feature]:
    """Return the features of a choice without branches.

    Options that are numbers have an order as well: by their rank, as the steps between them say what the user takes
    for equally far (16, 32, 64). Which of the two matters is for the length scales to find out.
    """
    if choice.size < 2:
        return []
    features = [Feature(column, np.eye(choice.size) / math.sqrt(2))]
    if choice.is_numeric and choice.size > 2:
        ranks = np.searchsorted(np.unique(np.array(choice.options, dtype=float)), np.array(choice.options, dtype=float))
        features.append(Feature(column, (ranks / max(ranks.max(), 1))[:, None].astype(float)))
    return features
