"""The tree-structured Parzen estimator: which configuration to try next."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nni.algorithms.hpo._tpe._groups import Group, top_group
from nni.algorithms.hpo._tpe._observations import Floats
from nni.algorithms.hpo._untried import Untried
from nni.search_space import Encoder, SearchSpace

if TYPE_CHECKING:
    from nni.algorithms.hpo._tpe._kernels import KernelMixture

Lie = Literal["min", "max", "mean"]

STARTUP = 10  # configurations from the prior before there is a model
CANDIDATES = 24  # draws from l(x) of which the best is suggested
GOOD_SHARE = 0.1  # gamma, the quantile of losses that are good …
MOST_GOOD = 25  # … and the most there can be
LEAST_LIE = 0.25  # of one observation, the weight of a running trial that is taken to be the best so far
FULL_WEIGHT = 25  # the newest bad observations that count in full; older ones fade linearly


class TpeSampler:
    """Suggests configurations that are likelier among good observations than among bad ones.

    The observations are split at the gamma quantile of the losses; l(x) is estimated from the good ones, g(x) from the
    others (failures are always among these), and of several draws from l(x) the one with the largest l(x) / g(x) is
    suggested, which is the one with the largest expected improvement. The top of a nested space is decided
    first, then each branch that was taken, from the observations in which it was taken too.

    Constant liar: a running trial counts as one more bad observation, with a weight that says how bad the loss is that
    it is taken to have: the share of losses so far that are no larger. In a regression model a lie, however good, also
    removes the uncertainty at its place, which is what keeps the next trial away. A ratio of densities has no
    uncertainty: there, a lie that counted as good would draw all others to the same place. Hence always bad, and
    never less than a quarter of an observation. One bad observation among many changes little, though, so the promise
    l / g of candidates is also cut down near running trials, in the same measure: local penalisation.

    Parameters
    ----------
    space
        The space.
    lie
        The loss that running trials are taken to have: the least, the largest or the mean so far, from the least to
        the most explorative ``min``, ``mean``, ``max``; None to leave running trials out.

    References
    ----------
    J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011; constant liar: D. Ginsbourger et al.,
    "Kriging Is Well-Suited to Parallelize Optimization", 2010; J. González et al., "Batch Bayesian Optimization via
    Local Penalization", AISTATS 2016.
    """

    def __init__(self, space: SearchSpace, lie: Lie | None = None) -> None:
        self._space = space
        self._encoder = Encoder(space)
        self._top = top_group(self._encoder)
        self._lie = lie
        self._running: dict[Hashable, dict[Group, Floats]] = {}
        self._untried = Untried(space)

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        row = self._encoder.encode([configuration])[0]
        self._running[key] = {group: row[group.columns] for group in self._top.active(row)}
        self._untried.mark(configuration)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._running.pop(key, None)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result; NaN or infinity is that of a failure."""
        row = self._encoder.encode([configuration])[0]
        for group in self._top.active(row):
            group.add(row, loss)
        self._untried.mark(configuration)

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration, one not tried before as long as a finite space has any."""
        if len(self._top.losses) < STARTUP:
            return self._untried.draw(rng)
        return self._from_model(rng)

    # -------------------------------------------------------------------------------------------- model

    def _from_model(self, rng: np.random.Generator) -> dict[str, Any]:
        for candidate in self._candidates(self._top, rng):
            row = np.full(len(self._encoder), np.nan)
            self._complete(self._top, candidate, row, rng)
            configuration = self._encoder.decode(row[None])[0]
            if self._untried.is_new(configuration):
                return configuration
        return self._untried.draw(rng)

    def _complete(self, group: Group, candidate: Floats, row: Floats, rng: np.random.Generator) -> None:
        """Fill the columns of a group into a row, and those of the branches taken with their best candidates."""
        row[group.columns] = candidate
        for (position, option), branch in group.branches.items():
            if candidate[position] == option and len(branch.columns):
                self._complete(branch, self._candidates(branch, rng)[0], row, rng)

    def _candidates(self, group: Group, rng: np.random.Generator) -> Floats:
        """Return draws from l(x) of a group, the best l(x) / g(x) first."""
        good, bad = self._densities(group)
        draws = good.sample(CANDIDATES, rng)
        edges = group.edges(draws)
        score = good.log_ratio(draws, edges) - bad.log_ratio(draws, edges)
        if self._lie is not None and self._running:
            score += good.log_share_left(draws, self._running_in(group), self._weight_of_lies(self._lie))
        return draws[np.argsort(-score, kind="stable")]

    def _densities(self, group: Group) -> tuple[KernelMixture, KernelMixture]:
        from nni.algorithms.hpo._tpe._kernels import KernelMixture  # noqa: PLC0415  (scipy waits until it is needed)

        rows, losses = group.rows.all, group.losses
        good = losses.good(min(math.ceil(GOOD_SHARE * len(losses)), MOST_GOOD))
        bad, weights = rows[~good], _fading(len(losses) - int(good.sum()))
        if self._lie is not None and self._running:
            running = self._running_in(group)
            bad = np.concatenate([bad, running])
            weights = np.append(weights, np.full(len(running), self._weight_of_lies(self._lie)))
        return KernelMixture(group, rows[good], np.ones(int(good.sum()))), KernelMixture(group, bad, weights)

    def _weight_of_lies(self, lie: Lie) -> float:
        return max(LEAST_LIE, self._top.losses.share_up_to(lie))

    def _running_in(self, group: Group) -> Floats:
        active = [rows[group] for rows in self._running.values() if group in rows]
        return np.array(active).reshape(len(active), len(group.columns))


def _fading(count: int) -> Floats:
    """Return weights of observations, oldest first: a ramp up to the newest ones, which count in full."""
    ramp = np.linspace(1 / max(count, 1), 1, max(count - FULL_WEIGHT, 0))
    return np.concatenate([ramp, np.ones(min(count, FULL_WEIGHT))])
