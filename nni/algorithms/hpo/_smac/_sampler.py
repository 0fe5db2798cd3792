"""SMAC: which configuration to try next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nni.algorithms.hpo._gp import Acquisition
from nni.algorithms.hpo._history import Floats, History, HistorySampler
from nni.algorithms.hpo._smac._forest import Forest, grow
from nni.algorithms.hpo._smac._neighbours import Neighbourhood
from nni.common.errors import NoMoreTrialError
from nni.search_space import SearchSpace

STARTUP = 10  # configurations from the prior before there is a model
TREES = 20
RANDOM_SHARE = 0.1  # of suggestions drawn from the prior whatever the model says: what convergence rests on
RANDOM_CANDIDATES = 1000
SEARCHES = 10  # local searches, from the best observations
STEPS = 20  # the most a local search may go
LEAST_VARIANCE = (
    1e-20  # of a logarithmic loss: where all trees agree, nothing is to be gained, and next to nothing is said
)
LARGEST_LISTED = 2000  # of a finite space up to this size, every configuration is a candidate


class SmacSampler(HistorySampler[History]):
    """Suggests the configuration with the largest expected improvement under a random forest.

    Candidates are draws from the prior and what local searches from the best observations find. A share of the
    suggestions is drawn from the prior. A running trial is an observation of the mean loss so far (constant liar): the
    forest loses interest in its place. To believe what the forest predicts there would not do, as that is constant
    between observations, and a promising place would stay as promising.

    Parameters
    ----------
    space
        The space.
    never_twice
        Stop when all configurations of a finite space were tried, instead of starting over.

    References
    ----------
    F. Hutter, H. H. Hoos, K. Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm Configuration",
    LION 5, 2011.
    """

    def __init__(self, space: SearchSpace, *, never_twice: bool = False) -> None:
        super().__init__(History(space))
        self._neighbourhood = Neighbourhood(self._history)
        self._never_twice = never_twice

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration, one not tried before as long as a finite space has any.

        Raises
        ------
        NoMoreTrialError
            If nothing may be tried twice and all has been tried.
        """
        history = self._history
        if self._never_twice and history.is_exhausted:
            raise NoMoreTrialError(f"all {history.size} configurations of the search space were tried")
        is_blind = len(history) < STARTUP or not history.has_result or not len(history.encoder)
        if is_blind or rng.random() < RANDOM_SHARE:
            return history.fresh_draw(rng)
        targets = log_scaled(history.losses)
        acquisition = self._acquisition(self._forest(targets, rng), float(targets.min()))
        candidates = self._candidates(acquisition, targets, rng)
        return history.first_fresh(candidates, rng)

    def _forest(self, targets: Floats, rng: np.random.Generator) -> Forest:
        rows, running = self._history.rows, self._history.running
        lies = np.full(len(running), targets.mean())
        rows, targets = np.concatenate([rows, running]), np.concatenate([targets, lies])
        return grow(rows, targets, self._history.options, rng, trees=TREES)

    def _acquisition(self, forest: Forest, best: float) -> Callable[[Floats], Floats]:
        improvement = Acquisition("ei", best)

        def acquisition(rows: Floats) -> Floats:
            mean, variance = forest.predict(rows)
            return improvement(mean, np.maximum(variance, LEAST_VARIANCE))

        return acquisition

    def _candidates(self, acquisition: Callable[[Floats], Floats], targets: Floats, rng: np.random.Generator) -> Floats:
        """Return candidates, the best first."""
        history = self._history
        if history.size is not None and history.size <= LARGEST_LISTED:
            rows = history.all_rows()
            return np.asarray(rows[_descending(acquisition(rows), rng)])
        draws = history.draw(RANDOM_CANDIDATES, rng)
        scores = acquisition(draws)
        best = history.rows[np.argsort(targets, kind="stable")[:SEARCHES]]
        starts = np.concatenate([best, draws[_descending(scores, rng)[:SEARCHES]]])
        found, found_scores = self._neighbourhood.climb(starts, acquisition, STEPS, rng)
        rows = np.concatenate([found, draws])
        return np.asarray(rows[_descending(np.concatenate([found_scores, scores]), rng)])


def log_scaled(losses: Floats) -> Floats:
    """Return losses on a logarithmic scale that ends a little below the best one, shape (n,).

    A forest splits where the squared error is largest; on this scale that is among the good configurations rather
    than between bad and worse ones. What is added keeps the best from being infinitely good: the distance from the best
    to the 5 % quantile. The same for losses that are shifted and stretched.
    """
    best, worst = losses.min(), losses.max()
    if worst <= best:
        return np.zeros_like(losses)
    scaled = (losses - best) / (worst - best)
    return np.asarray(np.log(scaled + max(float(np.quantile(scaled, 0.05)), 1e-6)))


def _descending(scores: Floats, rng: np.random.Generator) -> Any:
    """Order by score; a forest is flat in places, so ties are broken at random."""
    return np.lexsort((rng.random(len(scores)), -scores))
