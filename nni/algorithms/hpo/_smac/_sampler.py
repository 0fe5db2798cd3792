"""SMAC: which configuration to try next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from nni.algorithms.hpo._acquisition import log_expected_improvement
from nni.algorithms.hpo._history import Floats, History
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
LARGEST_LISTED = 2000  # of a finite space up to this size, every configuration is a candidate


class SmacSampler:
    """Suggests the configuration with the largest expected improvement under a random forest.

    Candidates are draws from the prior and what local searches from the best observations find. A share of the
    suggestions is drawn from the prior. A running trial is taken to have the mean loss that the forest gives it, and
    is an observation like others, so that the next one goes elsewhere.

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
        self._history = History(space)
        self._neighbourhood = Neighbourhood(self._history)
        self._never_twice = never_twice

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        self._history.start(key, configuration)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._history.stop(key)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result; NaN or infinity is that of a failure."""
        self._history.observe(configuration, loss)

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
        if len(history) < STARTUP or not history.has_result or rng.random() < RANDOM_SHARE:
            return history.fresh_draw(rng)
        targets = log_scaled(history.losses)
        forest = self._forest(targets, rng)
        candidates = self._candidates(self._acquisition(forest, float(targets.min())), targets, rng)
        return history.first_fresh(candidates, rng)

    def _forest(self, targets: Floats, rng: np.random.Generator) -> Forest:
        rows, options = self._history.rows, self._history.options
        running = self._history.running
        if len(running):
            lies = np.full(len(running), LIE(targets))
            rows, targets = np.concatenate([rows, running]), np.concatenate([targets, lies])
        return grow(rows, targets, options, rng, trees=TREES)

    def _acquisition(self, forest: Forest, best: float) -> Callable[[Floats], Floats]:
        def acquisition(rows: Floats) -> Floats:
            mean, variance = forest.predict(rows)
            return log_expected_improvement(mean, np.sqrt(variance), best)

        return acquisition

    def _candidates(
        self, acquisition: Callable[[Floats], Floats], targets: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return candidates, the best first."""
        history = self._history
        if history.size is not None and history.size <= LARGEST_LISTED:
            rows = history.all_rows()
            return rows[_descending(acquisition(rows), rng)]
        draws = history.draw(RANDOM_CANDIDATES, rng)
        scores = acquisition(draws)
        best = history.rows[np.argsort(targets, kind="stable")[:SEARCHES]]
        starts = np.concatenate([best, draws[_descending(scores, rng)[:SEARCHES]]])
        found, found_scores = self._neighbourhood.climb(starts, acquisition, STEPS, rng)
        rows = np.concatenate([found, draws])
        return rows[_descending(np.concatenate([found_scores, scores]), rng)]


def log_scaled(losses: Floats) -> Floats:
    """Return losses on a logarithmic scale that ends a little below the best one, shape (n,).

    A forest splits where the squared error is largest; on this scale that is among the good configurations rather
    than between bad and worse ones. What is added keeps the best from being infinitely good: the distance from the best
    to the 5 % quantile. The same for losses that are shifted and stretched.
    """
    best, worst = losses.min(), losses.max()
    if worst <= best:
        return np.zeros(len(losses))
    scaled = (losses - best) / (worst - best)
    return np.log(scaled + max(float(np.quantile(scaled, 0.05)), 1e-6))


def _descending(scores: Floats, rng: np.random.Generator) -> Any:
    """Order by score; a forest is flat in places, so ties are broken at random."""
    return np.lexsort((rng.random(len(scores)), -scores))


LIE = lambda t: float(np.mean(t))
