"""Kernel density estimates over encoded configurations: l(x) and g(x) of Bergstra et al. 2011.

One estimate is a mixture of the prior and one kernel for each observation. A kernel is a product over the dimensions of
a group (Falkner et al. 2018 for the joint form): a normal one truncated to the bounds for numbers, integrated over
the bin for rounded numbers, and smoothed counts for categories. Densities are taken relative to the prior, so that the
prior's own is 1 everywhere and no density or mass of a prior ever needs to be known for real dimensions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from nni.algorithms.hpo._tpe._groups import Group
from nni.algorithms.hpo._tpe._observations import Floats

NORMAL_RANGE = 5.0
"""What counts as the range of a normal prior, in standard deviations; of a bounded one the range is 1."""

FINEST = 100
"""Kernels are never narrower than this part of the range."""

BRANCH_COUNT = 4
"""Pseudo-count of an option in a choice with branches; 1 in any other."""

NARROW = 0.2
"""Up to this share of the kernel's width a bin is narrow: the density in its middle is right to 0.2 %."""

CROWDED = 8
"""Running trials beyond which each keeps others away from a smaller place, so that all together still fit."""

_TINY = 1e-12  # mass of a bin out of reach of a kernel; the prior's share of the mixture is always far above
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class KernelMixture:
    """A density over the dimensions of one group.

    Parameters
    ----------
    group
        The dimensions.
    rows : array, shape (k, g)
        Observations; may be empty, which leaves the prior.
    weights : array, shape (k,)
        Their weights; the prior has weight 1.
    """

    def __init__(self, group: Group, rows: Floats, weights: Floats) -> None:
        self._group = group
        self._rows = rows
        self._centres = rows[:, group.numeric]
        self._weights = np.append(weights, 1.0) / (weights.sum() + 1.0)
        self._widths = self._bandwidths()
        self._below = ndtr((group.lower - self._centres) / self._widths)
        self._inside = ndtr((group.upper - self._centres) / self._widths) - self._below
        self._blur = self._blurs()

    def _blurs(self) -> list[float]:
        """Return the share of the uniform distribution in each categorical kernel.

        Together the kernels give every option in proportion to (times seen + 1), as Laplace's rule has it. A choice
        with branches has more to find out behind each option than one result tells: pseudo-counts are larger for it.
        """
        branching = {position for position, _ in self._group.branches}
        counts = [BRANCH_COUNT if position in branching else 1 for position, _ in self._group.categorical]
        spread = [count * options for count, (_, options) in zip(counts, self._group.categorical, strict=True)]
        return [share / (share + max(len(self._rows), 1)) for share in spread]

    def _bandwidths(self) -> Floats:
        """Return one width per numeric dimension: Scott's rule (Scott 1992) on observations and prior."""
        group, k = self._group, len(self._rows)
        prior_variance = np.where(group.unbounded, 1.0, 1 / 12)
        middle = self._centres.mean(axis=0) if k else 0.0
        variance = (((self._centres - middle) ** 2).sum(axis=0) + prior_variance) / (k + 1)
        widths = np.sqrt(variance) * max(k, 1) ** -(1 / (len(group.columns) + 4))
        extent = np.where(group.unbounded, NORMAL_RANGE, 1.0)
        return np.asarray(np.maximum(widths, extent / min(FINEST, 1 + len(group.losses))))

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw rows, shape (n, g), rounded to what configurations can have."""
        group, k = self._group, len(self._rows)
        kernel = rng.choice(k + 1, size=n, p=self._weights)
        uniform = rng.random((n, len(group.columns)))
        rows = uniform.copy()
        from_kernel = kernel < k
        kernel = kernel[from_kernel]
        if group.numeric.size:
            rows[:, group.numeric] = self._draw_numbers(uniform[:, group.numeric], from_kernel, kernel)
        for (position, options), blur in zip(group.categorical, self._blur, strict=True):
            rows[:, position] = group.option(position, options, uniform[:, position])
            kept = rng.random(len(kernel)) >= blur
            rows[np.flatnonzero(from_kernel)[kept], position] = self._rows[kernel[kept], position]
        return group.scale.internal(group.scale.values(rows))

    def _draw_numbers(self, uniform: Floats, from_kernel: NDArray[np.bool_], kernel: NDArray[np.intp]) -> Floats:
        group = self._group
        numbers = np.where(group.unbounded, ndtri(uniform), uniform)
        share = self._below[kernel] + uniform[from_kernel] * self._inside[kernel]
        numbers[from_kernel] = self._centres[kernel] + self._widths * ndtri(np.clip(share, 0.0, 1.0))
        return np.asarray(np.clip(numbers, np.maximum(group.lower, -37), np.minimum(group.upper, 37)))

    def log_ratio(self, rows: Floats, edges: tuple[Floats, Floats]) -> Floats:
        """Return log(density / prior density) of rows, shape (n,).

        Parameters
        ----------
        rows : array, shape (n, g)
            Encoded configurations.
        edges
            The ends of the bins that their entries are in, each of shape (n, g); NaN for real dimensions.
        """
        logs = np.zeros((len(rows), len(self._rows)))
        if self._group.numeric.size:
            self._add_numeric(rows, edges, logs)
        self._add_categorical(rows, logs)
        largest = np.maximum(logs.max(axis=1, initial=0.0), 0.0)
        total = np.exp(logs - largest[:, None]) @ self._weights[:-1] + self._weights[-1] * np.exp(-largest)
        return np.asarray(np.log(total) + largest)

    def log_share_left(self, rows: Floats, taken: Floats, weight: float) -> Floats:
        """Return the log of what is left of the promise of rows, shape (n,), near places that are being tried.

        A trial that runs at the same place takes ``weight`` of it, one at another place less by the shape of a kernel
        of this density (local penalisation: González et al., "Batch Bayesian Optimization via Local Penalization").

        Parameters
        ----------
        rows : array, shape (n, g)
            Candidates.
        taken : array, shape (m, g)
            Where trials run.
        weight
            At most 1.
        """
        reach = self._widths * min(1.0, (CROWDED / max(len(taken), 1)) ** (1 / max(len(self._group.columns), 1)))
        gaps = (rows[:, None, self._group.numeric] - taken[None, :, self._group.numeric]) / reach
        near = np.exp(-0.5 * (gaps**2).sum(axis=2))
        for position, _ in self._group.categorical:
            near = near * (rows[:, position, None] == taken[None, :, position])
        return np.asarray(np.log(np.maximum(1 - weight * near, _TINY)).sum(axis=1))

    def _add_numeric(self, rows: Floats, edges: tuple[Floats, Floats], logs: Floats) -> None:
        """Add the kernels of numeric dimensions.

        A bin that is narrow beside the kernel has the density in its middle; a wide one is integrated. For the former
        the square of (x - centre) / width is multiplied out, so that the work is one product of matrices.
        """
        group = self._group
        numbers, below, above = rows[:, group.numeric], edges[0][:, group.numeric], edges[1][:, group.numeric]
        wide = above - below > NARROW * self._widths  # never for real dimensions, as NaN compares false
        narrow = ~wide
        precision = self._widths**-2
        at = -0.5 * precision * numbers**2 + np.where(group.unbounded, 0.5 * numbers**2 + _HALF_LOG_2PI, 0.0)
        own = -0.5 * precision * self._centres**2 - np.log(self._widths) - _HALF_LOG_2PI
        logs += (np.where(narrow, numbers, 0.0) * precision) @ self._centres.T + narrow @ own.T
        logs += np.where(narrow, at, 0.0).sum(axis=1)[:, None] - np.log(self._inside).sum(axis=1)
        for k in np.flatnonzero(wide.any(axis=0)):
            which = wide[:, k]
            logs[which] += self._log_masses(int(k), below[which, k, None], above[which, k, None])

    def _log_masses(self, k: int, below: Floats, above: Floats) -> Floats:
        """Return the log masses of bins of the k-th numeric dimension, relative to the prior's, under each kernel."""
        group = self._group
        prior = ndtr(above) - ndtr(below) if group.unbounded[k] else above - below
        values = group.values_of.get(k)
        if values is None or len(values) > len(self._rows):
            return _log_mass(below, above, self._centres[:, k], self._widths[k], prior)
        table = _log_mass(below, above, values, self._widths[k], prior)
        return table[:, group.numbers_of(k, self._centres[:, k])]

    def _add_categorical(self, rows: Floats, logs: Floats) -> None:
        for (position, options), blur in zip(self._group.categorical, self._blur, strict=True):
            same = rows[:, position, None] == self._rows[:, position]
            logs += math.log(blur) + same * (math.log((1 - blur) * options + blur) - math.log(blur))


def _log_mass(below: Floats, above: Floats, centres: Floats, width: float, prior: Floats) -> Floats:
    mass = ndtr((above - centres) / width) - ndtr((below - centres) / width)
    return np.asarray(np.log(np.maximum(mass, _TINY) / np.maximum(prior, _TINY)))
