"""Multivariate kernel density estimates over configurations (Falkner et al. 2018, section 3.2).

A kernel is a product over all variables at once, so that what goes together is learnt together: a normal one for
numbers, truncated to the unit interval, and the one of Aitchison and Aitken (1976) for options, which have no order.
Densities are relative to the prior, so that a variable that is not active, here or in the observation, contributes a
factor of 1: the mean over all values that it could have been given.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from nni.algorithms.hpo._rows import Floats
from nni.search_space import Encoder, Kind, from_unit, to_unit

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_UNIFORM_DEVIATION = 1 / math.sqrt(12)


class Variables:
    """The columns of encoded configurations as a density estimate sees them: numbers on [0, 1], and options.

    Parameters
    ----------
    encoder
        Of the space.

    Attributes
    ----------
    numeric, options
        Columns of the ones and the others. Constants are neither.
    counts
        The number of options of the latter.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        varying = [d for d in encoder.dimensions if d.lower < d.upper]
        self.numeric = np.array([d.index for d in varying if d.kind is not Kind.CATEGORICAL], dtype=np.intp)
        self.options = np.array([d.index for d in varying if d.kind is Kind.CATEGORICAL], dtype=np.intp)
        self.counts = np.array([d.size or 1 for d in varying if d.kind is Kind.CATEGORICAL], dtype=float)

    def __len__(self) -> int:
        return len(self.numeric) + len(self.options)

    def to_unit(self, rows: Floats) -> Floats:
        """Map encoded rows to the unit interval; options stay indices."""
        return to_unit(self._encoder, rows)

    def snap(self, rows: Floats) -> Floats:
        """Move rows on the unit interval to encoded points that a configuration can have; blank what is inactive."""
        return self._encoder.snap(from_unit(self._encoder, rows))


class Density:
    """A kernel density estimate.

    Parameters
    ----------
    variables
        Of the space.
    rows : array, shape (n, d)
        Observations on the unit interval, n > 0; NaN where inactive.
    min_bandwidth
        No bandwidth is smaller.

    Attributes
    ----------
    bandwidths : array, shape (numeric,)
        Standard deviations of the kernels of numbers: the normal reference rule, ``1.06 s n^(-1 / (4 + d))``.
    blurs : array, shape (options,)
        By the same rule, the mass that the kernels of options give to all options but the observed one; s is then
        ``sqrt((1 - sum p^2) / 2)``, which for two options is the standard deviation and does not depend on an order.
    """

    def __init__(self, variables: Variables, rows: Floats, min_bandwidth: float) -> None:
        self._variables = variables
        self._rows = rows
        shrink = 1.06 * len(rows) ** (-1 / (4 + len(variables)))
        numbers, options = rows[:, variables.numeric], rows[:, variables.options]
        self.bandwidths = np.maximum(shrink * _deviations(numbers), min_bandwidth)
        spreads = [_spread(column, int(n)) for column, n in zip(options.T, variables.counts, strict=True)]
        widest = (variables.counts - 1) / variables.counts  # the uniform distribution
        self._widest = widest
        self.blurs = np.clip(shrink * np.array(spreads, dtype=float), min(min_bandwidth, 0.5), widest)

    def log_ratio(self, points: Floats) -> Floats:
        """Return the logarithm of the density relative to the prior's at points on the unit interval, shape (m,).

        The prior itself is one more kernel. Far from all observations the density is therefore small but not zero, and
        the ratio of two densities means nothing there instead of anything.
        """
        logs = np.zeros((len(points), len(self._rows)))
        for place, column in enumerate(self._variables.numeric):
            logs += self._log_numbers(points[:, column], self._rows[:, column], self.bandwidths[place])
        for place, column in enumerate(self._variables.options):
            same = points[:, column, None] == self._rows[:, column]
            count, blur = self._variables.counts[place], self.blurs[place]
            kernel = np.where(same, math.log((1 - blur) * count), math.log(blur / (count - 1) * count))
            logs += _where_active(kernel, points[:, column], self._rows[:, column])
        with_prior = np.concatenate([logs, np.zeros((len(points), 1))], axis=1)
        return np.asarray(logsumexp(with_prior, axis=1) - math.log(len(self._rows) + 1))

    def sample(self, n: int, rng: np.random.Generator, factor: float = 1.0) -> Floats:
        """Draw points on the unit interval, shape (n, d), from kernels that are `factor` times as wide.

        Variables that are not active in the observation come from the prior.
        """
        centres = self._rows[rng.integers(len(self._rows), size=n)]
        points = np.where(np.isnan(centres), 0.0, centres)
        numeric, options = self._variables.numeric, self._variables.options
        uniform = rng.random((n, len(numeric)))
        near = centres[:, numeric]
        width = self.bandwidths * factor
        below, above = ndtr((0 - near) / width), ndtr((1 - near) / width)
        near = near + width * ndtri(np.clip(below + uniform * (above - below), 1e-300, 1 - 1e-16))
        points[:, numeric] = np.clip(np.where(np.isnan(near), uniform, near), 0.0, 1.0)
        # With this probability any option is drawn; as that may be the observed one again, the others get `blurs`.
        blur = np.minimum(self.blurs * factor, self._widest) / np.where(self._widest > 0, self._widest, 1.0)
        chosen = centres[:, options]
        leaps = np.isnan(chosen) | (rng.random(chosen.shape) < blur)
        anything = np.floor(rng.random(chosen.shape) * self._variables.counts)
        points[:, options] = np.where(leaps, anything, chosen)
        return points

    def _log_numbers(self, points: Floats, centres: Floats, width: float) -> Floats:
        inside = ndtr((1 - centres) / width) - ndtr((0 - centres) / width)
        kernel = -0.5 * ((points[:, None] - centres) / width) ** 2 - math.log(width) - _HALF_LOG_2PI - np.log(inside)
        return _where_active(kernel, points, centres)


def _where_active(logs: Floats, points: Floats, centres: Floats) -> Floats:
    inactive: NDArray[np.bool_] = np.isnan(points)[:, None] | np.isnan(centres)
    return np.where(inactive, 0.0, logs)


def _deviations(columns: Floats) -> Floats:
    """Return standard deviations of what is active; of fewer than two numbers that of the prior."""
    active = ~np.isnan(columns)
    count = active.sum(axis=0)
    mean = np.where(active, columns, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(active, (columns - mean) ** 2, 0.0).sum(axis=0)
    return np.where(count < 2, _UNIFORM_DEVIATION, np.sqrt(squares / np.maximum(count - 1, 1)))


def _spread(column: Floats, options: int) -> float:
    known = column[~np.isnan(column)].astype(np.intp)
    shares = np.bincount(known, minlength=options) / len(known) if len(known) >= 2 else np.full(options, 1 / options)
    return math.sqrt(max(0.0, (1 - float((shares**2).sum())) / 2))
