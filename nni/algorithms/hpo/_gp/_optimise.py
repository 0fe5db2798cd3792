"""Where the acquisition is largest: many candidates first, then gradients for numbers and neighbours for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from nni.algorithms.hpo._gp._acquisition import Acquisition
from nni.algorithms.hpo._gp._matern import Floats
from nni.algorithms.hpo._gp._process import GaussianProcess
from nni.algorithms.hpo._gp._space import UnitSpace

_CHUNK = 4096  # candidates that are predicted at a time
_SCREENED = 256  # candidates that are looked at at a time for whether they are forbidden
_ENOUGH = 300  # that are not, to go on with
_SPREADS = (0.3, 0.1, 0.03, 0.01, 0.003)  # of mutations around the incumbents, in parts of the range
_STEPS = 40  # of L-BFGS-B
_ROUNDS = 3  # of gradient steps and neighbours in turn


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Attributes
    ----------
    draws
        Candidates from the whole space.
    mutants
        Candidates around the best observations.
    starts
        Candidates that are improved further.
    """

    draws: int = 1000
    mutants: int = 600
    starts: int = 6


class Search:
    """A search for the configuration with the largest acquisition.

    Parameters
    ----------
    space
        The space.
    process
        The model.
    acquisition
        What to maximise.
    forbidden
        Tells which rows, shape (n, d), must not be suggested.
    fixed
        Coordinates of columns that draws must have.
    """

    def __init__(
        self,
        space: UnitSpace,
        process: GaussianProcess,
        acquisition: Acquisition,
        forbidden: Callable[[Floats], np.ndarray],
        fixed: Mapping[int, float] | None = None,
    ) -> None:
        self._space = space
        self._process = process
        self._acquisition = acquisition
        self._forbidden = forbidden
        self._fixed = fixed

    def best(self, incumbents: Floats, effort: Effort, rng: np.random.Generator) -> tuple[Floats, float] | None:
        """Return the best row that was found, shape (d,), and its acquisition; None if all are forbidden.

        Parameters
        ----------
        incumbents : array, shape (k, d)
            Good observations, the best first.
        effort
            How hard to search.
        rng
            For the candidates.
        """
        rows = self._candidates(incumbents, effort, rng)
        scores = self._scores(rows)
        order = self._diverse(rows, scores, effort.starts)
        improved, values = self._improve(rows[order], scores[order])
        rows, scores = np.concatenate([improved, rows]), np.concatenate([values, scores])
        top = int(np.argmax(scores))
        return None if np.isneginf(scores[top]) else (rows[top], float(scores[top]))

    # ------------------------------------------------------------------------------------------ candidates

    def _candidates(self, incumbents: Floats, effort: Effort, rng: np.random.Generator) -> Floats:
        blocks = [self._space.sample(effort.draws, rng, self._fixed)]
        if len(incumbents) and effort.mutants:
            blocks.append(self._mutants(incumbents, effort.mutants, rng))
        return np.concatenate(blocks)

    def _mutants(self, incumbents: Floats, count: int, rng: np.random.Generator) -> Floats:
        """Return changed incumbents: few or all of the dimensions, by little or much."""
        parents = incumbents[np.minimum(rng.geometric(0.3, count) - 1, len(incumbents) - 1)]
        spread = np.asarray(_SPREADS)[rng.integers(len(_SPREADS), size=count)]
        share = np.where(rng.random(count) < 0.5, 1.0, 2.0 / max(parents.shape[1], 2))
        return self._space.mutate(parents, spread, share, rng)

    def _scores(self, rows: Floats) -> Floats:
        scores = np.empty(len(rows))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            scores[part] = self._acquisition(*self._process.predict(rows[part]))
        return self._without_forbidden(rows, scores)

    def _without_forbidden(self, rows: Floats, scores: Floats) -> Floats:
        """Return scores, minus infinity for what is forbidden or worse than enough that is not: looking costs time."""
        allowed = np.full(len(scores), -np.inf)
        order, found = np.argsort(-scores, kind="stable"), 0
        for start in range(0, len(order), _SCREENED):
            part = order[start : start + _SCREENED]
            good = part[~self._forbidden(rows[part])]
            allowed[good] = scores[good]
            found += len(good)
            if found >= _ENOUGH:
                break
        return allowed

    def _diverse(self, rows: Floats, scores: Floats, count: int) -> np.ndarray:
        """Return the best rows, but of those that differ by little only one."""
        chosen: list[int] = []
        for index in np.argsort(-scores, kind="stable")[: 20 * count]:
            if np.isneginf(scores[index]) or len(chosen) == count:
                break
            if all(self._space.distance(rows[index], rows[other]) > 0.01 for other in chosen):
                chosen.append(int(index))
        return np.array(chosen, dtype=np.intp)

    # ------------------------------------------------------------------------------------------ improvement

    def _improve(self, rows: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Improve rows: their numbers along the gradient, everything else by trying neighbours."""
        if not len(rows):
            return rows, scores
        for round_ in range(_ROUNDS):
            before = scores.copy()
            if self._space.has_reals:
                rows, scores = self._keep_better(rows, scores, self._climb(rows))
            if not self._space.has_steps:
                break
            if round_ and not np.any(scores > before + 1e-9):
                break
            rows, scores = self._step(rows, scores)
        return rows, scores

    def _keep_better(self, rows: Floats, scores: Floats, other: Floats) -> tuple[Floats, Floats]:
        fresh = self._scores(other)
        better = fresh > scores
        return np.where(better[:, None], other, rows), np.where(better, fresh, scores)

    def _climb(self, rows: Floats) -> Floats:
        """Follow the gradient from all rows at once: the sum of their acquisitions is separable."""
        free = self._space.reals[None, :] & ~np.isnan(rows)
        if not free.any():
            return rows

        def objective(x: Floats) -> tuple[float, Floats]:
            at = rows.copy()
            at[free] = x
            mean, variance, by_mean, by_variance = self._process.predict_with_gradient(at)
            value, slope_mean, slope_variance = self._acquisition.with_slopes(mean, variance)
            gradient = slope_mean[:, None] * by_mean + slope_variance[:, None] * by_variance
            return -float(value.sum()), -gradient[free]

        bounds = [(0.0, 1.0)] * int(free.sum())
        found = minimize(
            objective, rows[free], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS, "maxcor": 20}
        )
        climbed = rows.copy()
        climbed[free] = np.clip(found.x, 0.0, 1.0)
        return np.asarray(climbed)

    def _step(self, rows: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Move each row to its best neighbour in one integer, rounded or categorical dimension."""
        owners, neighbours = self._space.neighbours(rows)
        if not len(neighbours):
            return rows, scores
        rows, scores = rows.copy(), scores.copy()
        values = self._scores(neighbours)
        for index in np.argsort(values, kind="stable"):  # the best of a row comes last
            if values[index] > scores[owners[index]]:
                rows[owners[index]], scores[owners[index]] = neighbours[index], values[index]
        return rows, scores
