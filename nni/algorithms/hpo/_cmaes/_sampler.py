"""Configurations by covariance matrix adaptation: runs, restarts, and which result belongs to which solution."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nni.algorithms.hpo._cmaes._strategy import Floats, Genes, Strategy
from nni.algorithms.hpo._untried import Untried
from nni.common.errors import NoMoreTrialError
from nni.search_space import (
    Encoder,
    SearchSpace,
    from_unit,
    sample,
    to_unit,
)

if TYPE_CHECKING:
    from cmaes import CatCMAwM  # type: ignore[import-untyped]

_REDRAWS = 30  # to find something that was not tried
_MOST_DOUBLINGS = 6


@dataclass(frozen=True)
class CmaesSettings:
    """See :class:`~nni.algorithms.hpo.cmaes_tuner.CMAES`."""

    population_size: int | None = None
    sigma: float = 0.25
    restarts: str = "ipop"


class CmaesSampler:
    """Suggests draws from a normal distribution that adapts to the better half of each generation.

    Parameters
    ----------
    space
        The space.
    settings
        How to work.
    seed
        With it and the number of a trial, what was drawn for the trial can be drawn again, after a restart too.
    """

    def __init__(self, space: SearchSpace, settings: CmaesSettings, seed: int) -> None:
        self._space = space
        self._settings = settings
        self._seed = seed
        self._genes = Genes(Encoder(space))
        self._untried = Untried(space)
        self._restarts = 0
        self._best: tuple[float, Floats | None] = (math.inf, None)
        self._strategy = self._new_strategy()
        self._proposed: tuple[dict[str, Any], CatCMAwM.Solution] | None = None
        self._running: dict[Hashable, tuple[Strategy, Any, CatCMAwM.Solution]] = {}
        self._ended: tuple[Strategy, Any, CatCMAwM.Solution] | None = None

    # ------------------------------------------------------------------------------------------ runs

    def _new_strategy(self) -> Strategy | None:
        """Return the next run: from the middle or the best import first, from random places later."""
        if not len(self._genes):
            return None
        rng = np.random.default_rng([self._seed, 2, self._restarts])
        population = self._settings.population_size
        if self._restarts == 0:
            middle = np.array([0.5 if d.lower < d.upper else 0.0 for d in self._genes.encoder.dimensions])
            mean = middle if self._best[1] is None else np.where(np.isnan(self._best[1]), middle, self._best[1])
        else:
            mean = rng.random(len(self._genes.encoder))
            if self._settings.restarts == "ipop":
                default = population or 4 + math.floor(3 * math.log(len(self._genes)))
                population = default * 2 ** min(self._restarts, _MOST_DOUBLINGS)
        return Strategy(self._genes, mean, self._settings.sigma, population, int(rng.integers(2**32)))

    def _restart_if_done(self) -> None:
        if self._strategy is not None and self._settings.restarts != "none" and self._strategy.is_done:
            self._restarts += 1
            self._strategy = self._new_strategy()

    # ------------------------------------------------------------------------------------------ trials

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        if self._strategy is not None:
            self._running[key] = (self._strategy, configuration, self._solution_of(key, configuration))
        self._untried.mark(configuration)

    def _solution_of(self, key: Hashable, configuration: Mapping[str, Any]) -> CatCMAwM.Solution:
        """Return what a configuration was decoded from; in a history that is lived through, by drawing it again."""
        if self._proposed is None and isinstance(key, int):
            self._proposed = self._propose(np.random.default_rng([self._seed, 0, key]))
        proposed, self._proposed = self._proposed, None
        if proposed is not None and proposed[0] == configuration:
            return proposed[1]
        return self._stand_in(configuration)

    def _stand_in(self, configuration: Mapping[str, Any]) -> CatCMAwM.Solution:
        assert self._strategy is not None
        encoder = self._genes.encoder
        return self._genes.solution(to_unit(encoder, encoder.encode([configuration]))[0], self._strategy.mean)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running; its result, if any, comes next."""
        self._ended = self._running.pop(key, None)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result. Before the first generation, the best of imported results is where the run starts."""
        ended, self._ended = self._ended, None
        loss = math.inf if math.isnan(loss) else loss
        self._untried.mark(configuration)
        if ended is not None and ended[1] == configuration:
            strategy, _, solution = ended
            if strategy is self._strategy:  # results of an earlier run come too late
                strategy.tell(solution, loss)
                self._restart_if_done()
        elif self._strategy is not None and loss < self._best[0]:
            encoder = self._genes.encoder
            self._best = (loss, to_unit(encoder, encoder.encode([configuration]))[0])
            if self._restarts == 0 and self._strategy.generation == 0 and not self._running:
                self._strategy = self._new_strategy()

    # ------------------------------------------------------------------------------------------ suggestions

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration.

        Raises
        ------
        NoMoreTrialError
            When every configuration of a finite space was tried or is running.
        """
        if not self._untried.any_left:
            raise NoMoreTrialError("every configuration of the search space has been tried")
        if self._strategy is None:
            return sample(self._space, rng)
        self._proposed = self._propose(rng)
        return self._proposed[0]

    def _propose(self, rng: np.random.Generator) -> tuple[dict[str, Any], CatCMAwM.Solution]:
        assert self._strategy is not None
        encoder = self._genes.encoder
        for _ in range(_REDRAWS):
            solution = self._strategy.ask(rng)
            configuration = encoder.decode(from_unit(encoder, self._genes.row(solution)[None]))[0]
            if self._untried.is_new(configuration):
                return configuration, solution
        configuration = self._untried.draw(rng)
        return configuration, self._stand_in(configuration)
