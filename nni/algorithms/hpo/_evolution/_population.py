"""A population that keeps its size: pairwise tournaments, in which the better one breeds and the worse one goes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nni.algorithms.hpo._evolution._mutation import mutate
from nni.algorithms.hpo._untried import Untried
from nni.search_space import Encoder, SearchSpace, contains

_TRIES = 100  # mutations to look for a configuration not tried before


@dataclass(frozen=True, slots=True)
class Individual:
    """A configuration with its loss."""

    configuration: Mapping[str, Any]
    loss: float


class Population:
    """Individuals with a result, and individuals whose trials run (Real et al. 2017, section 3.1).

    The places of individuals that were lost, to a failed trial or a changed space, are filled with random ones.

    Parameters
    ----------
    space
        The space.
    size
        Number of individuals.

    References
    ----------
    E. Real et al., "Large-Scale Evolution of Image Classifiers", ICML 2017.
    """

    def __init__(self, space: SearchSpace, size: int) -> None:
        self._space = space
        self._size = size
        self._encoder = Encoder(space)
        self._untried = Untried(space)
        self.members: list[Individual] = []
        self.running: dict[Hashable, Mapping[str, Any]] = {}
        self._again: list[Mapping[str, Any]] = []  # whose trials were taken away

    @property
    def missing(self) -> int:
        """How many places are free."""
        return max(0, self._size - len(self.members) - len(self.running) - len(self._again))

    def suggest(self, rng: np.random.Generator) -> dict[str, Any] | None:
        """Return a new individual: a random one for a free place, else a child; None while too few have results."""
        if self._again:
            return dict(self._again[0])
        if self.missing:
            return self._untried.draw(rng)
        contest = self._contest(rng)
        if contest is None:
            return None
        winner = self.members[contest[0]]
        return self._untried.draw(rng) if winner.loss == math.inf else self._child(winner.configuration, rng)

    def start(self, key: Hashable, configuration: Mapping[str, Any], rng: np.random.Generator) -> None:
        """Give a place to an individual whose trial runs from now on.

        Parameters
        ----------
        key
            Of the trial.
        configuration
            The individual; one that is not of the space gets no place.
        rng
            In the state in which :meth:`suggest` got it, so that the worse one of the same pair makes place.
        """
        if not contains(self._space, configuration):
            return
        again = configuration in self._again
        if again:
            self._again.remove(configuration)
        contest = None if again or self.missing else self._contest(rng)
        if contest is not None and len(contest) == 2:
            del self.members[contest[1]]
        self.running[key] = configuration
        self._untried.mark(configuration)

    def finish(self, key: Hashable, loss: float) -> bool:
        """Take the result of a running individual; NaN is as bad as can be. Return whether it was running."""
        configuration = self.running.pop(key, None)
        if configuration is not None:
            self.members.append(Individual(configuration, math.inf if math.isnan(loss) else loss))
        return configuration is not None

    def lose(self, key: Hashable) -> bool:
        """Free the place of a running individual that has no result. Return whether there was one."""
        return self.running.pop(key, None) is not None

    def give_back(self, key: Hashable) -> None:
        """Keep the place of an individual whose trial was taken away: it is to run again."""
        configuration = self.running.pop(key, None)
        if configuration is not None:
            self._again.append(configuration)

    def join(self, individuals: list[Individual]) -> None:
        """Let individuals from elsewhere compete with the members for the places that are not taken by running ones."""
        for each in individuals:
            self._untried.mark(each.configuration)
        best = sorted([*self.members, *individuals], key=lambda each: each.loss)
        self.members = best[: max(self._size - len(self.running) - len(self._again), 0)]

    def moved_to(self, space: SearchSpace) -> Population:
        """Return a population of another space with those individuals that fit into it."""
        other = Population(space, self._size)
        other.members = [each for each in self.members if contains(space, each.configuration)]
        other._again = [each for each in self._again if contains(space, each)]
        other.running = {key: each for key, each in self.running.items() if contains(space, each)}
        known = [*(each.configuration for each in other.members), *other.running.values(), *other._again]
        for configuration in known:
            other._untried.mark(configuration)
        return other

    def _contest(self, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Draw two members, the better one first; only one where there will never be two. None: wait for more."""
        if len(self.members) >= 2:
            pair = rng.choice(len(self.members), size=2, replace=False).tolist()
            return tuple(sorted(pair, key=lambda index: self.members[index].loss))
        return (0,) if self.members and not self.running else None

    def _child(self, parent: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        for _ in range(_TRIES):
            child = mutate(self._encoder, parent, rng)
            if child != parent and self._untried.is_new(child):
                return child
        return self._untried.draw(rng)
