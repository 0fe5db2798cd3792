"""SMAC: which configuration to try next."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from nni.algorithms.hpo._gp import Acquisition, Arm, Arms, UnitSpace, in_arm
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
LARGEST_LISTED = 2000  # of a finite space up to this size, every configuration is a candidate


class SmacSampler(HistorySampler[History]):
    """Suggests the configuration with the largest expected improvement under a random forest.

    Candidates are draws from the prior and what local searches from the best observations find. A share of the
    suggestions is drawn from the prior. A running trial is an observation of the mean loss so far (constant liar): the
    forest loses interest in its place. To believe what the forest predicts there would not do, as that is constant
    between observations, and a promising place would stay as promising.

    Of a space with branches, every other suggestion goes to a branch that is not the best one, and improves on what
    that branch itself has shown, as long as it could still become the best (:class:`~nni.algorithms.hpo._gp.Arms`):
    the forest knows little of a branch that was seldom tried, and would give it up for one that is good untuned.

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
        self._units = UnitSpace(space)
        self._arms = Arms(self._units)
        self._begun = 0
        self._never_twice = never_twice

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        super().start(key, configuration)
        self._begun += 1

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
        forest = self._forest(targets, rng)
        of_arm = self._from_arm(forest, targets, rng) if self._arms.exist and self._begun % 2 else None
        if of_arm is not None:
            return of_arm
        return history.first_fresh(self._candidates(forest, history.rows, targets, rng), rng)

    def _from_arm(self, forest: Forest, targets: Floats, rng: np.random.Generator) -> dict[str, Any] | None:
        """Return what may improve a branch that is not the best one; None if that has nothing new."""
        history, turn = self._history, self._begun // 2
        rows, running = history.rows, history.running
        losses = np.append(history.losses, np.full(len(running), np.inf))
        arm = self._arms.choose(forest, np.concatenate([rows, running]), losses, turn, rng, only_rising=True)
        if arm is None:
            return None
        inside = in_arm(rows, arm)
        return history.first_fresh_of(self._candidates(forest, rows[inside], targets[inside], rng, arm))

    def _forest(self, targets: Floats, rng: np.random.Generator) -> Forest:
        rows, running = self._history.rows, self._history.running
        lies = np.full(len(running), targets.mean())
        rows, targets = np.concatenate([rows, running]), np.concatenate([targets, lies])
        return grow(rows, targets, self._history.options, rng, trees=TREES)

    def _candidates(
        self, forest: Forest, rows: Floats, targets: Floats, rng: np.random.Generator, arm: Arm | None = None
    ) -> Floats:
        """Return candidates, the best first: what promises most to improve on the given observations.

        Parameters
        ----------
        forest
            The model.
        rows, targets
            The observations, those of the arm if there is one.
        rng
            For draws and ties.
        arm
            The branch to stay in.
        """
        history = self._history
        improvement = Acquisition("ei", float(targets.min()) if len(targets) else 0.0)  # 0 is about the worst of all

        def acquisition(rows: Floats) -> Floats:
            scores = improvement(*forest.predict(rows))
            return scores if arm is None else np.where(in_arm(rows, arm), scores, -np.inf)

        if history.size is not None and history.size <= LARGEST_LISTED:
            listed = history.all_rows()
            listed = listed if arm is None else listed[in_arm(listed, arm)]
            return np.asarray(listed[_descending(acquisition(listed), rng)])
        draws = history.draw(RANDOM_CANDIDATES, rng) if arm is None else self._units.sample(RANDOM_CANDIDATES, rng, arm)
        scores = acquisition(draws)
        best = rows[np.argsort(targets, kind="stable")[:SEARCHES]]
        starts = np.concatenate([best, draws[_descending(scores, rng)[:SEARCHES]]])
        found, found_scores = self._neighbourhood.climb(starts, acquisition, STEPS, rng)
        candidates = np.concatenate([found, draws])
        return np.asarray(candidates[_descending(np.concatenate([found_scores, scores]), rng)])


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
