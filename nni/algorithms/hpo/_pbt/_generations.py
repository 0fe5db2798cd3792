"""A population that trains step by step: who does what next, and from which checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nni.algorithms.hpo._pbt._explore import explore
from nni.search_space import SearchSpace, contains, sample

_logger = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """A state of a model: of which member, after how many steps of training."""

    member: int
    steps: int


@dataclass
class Member:
    """One of the population, at the present step.

    Attributes
    ----------
    configuration
        Its hyper-parameters of this step.
    source
        The checkpoint that it goes on from.
    key
        Of its trial while it runs.
    loss
        Of its trial; infinity if it failed, None until it ended.
    """

    configuration: Mapping[str, Any]
    source: Checkpoint
    key: int | None = None
    loss: float | None = None


class Generations:
    """Steps that all members take together (HPO-295).

    When the last one has ended, the worst ``fraction`` of them, and all that failed, take over the checkpoint and the
    hyper-parameters of one of the best ``fraction``, perturbed (truncation selection). The others go on as they are. If
    all have failed, they repeat the step from where they were, with hyper-parameters from the prior.

    Parameters
    ----------
    size
        Number of members.
    factors
        For numbers, see :func:`explore`.
    fraction
        Share of members that is replaced, and of those that replace them.
    seed
        Of all draws.

    Attributes
    ----------
    step
        The present step; checkpoints of before the first one have 0 steps behind them.
    """

    def __init__(self, size: int, factors: Sequence[float], fraction: float, seed: int) -> None:
        self.step = 0
        self.members: list[Member] = []
        self._size = size
        self._factors = factors
        self._exchanged = math.ceil(fraction * size - 1e-9)
        self._seed = seed
        self._draws = 0  # generations drawn, the repeated ones included
        self._space = SearchSpace({})

    def move_to(self, space: SearchSpace) -> None:
        """Take a search space; hyper-parameters that are not of it are drawn anew before they are used again."""
        self._space = space
        if not self.members:
            self.members = [Member(self._draw(m), Checkpoint(m, 0)) for m in range(self._size)]
        for m, member in enumerate(self.members):
            if member.key is None and member.loss is None and not contains(space, member.configuration):
                member.configuration = self._draw(m)

    def next(self) -> int | None:
        """Return a member that has still to take this step; None if all have begun."""
        waiting = (m for m, member in enumerate(self.members) if member.key is None and member.loss is None)
        return next(waiting, None)

    def of(self, key: int) -> Member | None:
        """Return the member whose trial has this key."""
        return next((member for member in self.members if member.key == key), None)

    def end(self, member: Member, loss: float) -> None:
        """Note that the trial of a member has ended; infinity or NaN if it failed. The last one begins a new step."""
        member.key = None
        member.loss = math.inf if math.isnan(loss) else loss
        if all(each.loss is not None for each in self.members):
            self._advance()

    def _advance(self) -> None:
        self._draws += 1
        losses = [math.inf if member.loss is None else member.loss for member in self.members]
        order = sorted(range(self._size), key=lambda m: losses[m])
        trained = [m for m in order if losses[m] < math.inf]
        if not trained:
            _logger.warning("all trials of step %d failed; it is repeated with other hyper-parameters", self.step)
            self.members = [Member(self._draw(m), member.source) for m, member in enumerate(self.members)]
            return
        best = trained[: max(self._exchanged, 1)]
        replaced = {m for m in order[self._size - self._exchanged :] if m not in best} | (set(order) - set(trained))
        self.step += 1
        self.members = [self._replace(m, best) if m in replaced else self._keep(m) for m in range(self._size)]

    def _keep(self, m: int) -> Member:
        configuration = self.members[m].configuration
        fits = contains(self._space, configuration)
        return Member(configuration if fits else self._draw(m), Checkpoint(m, self.step))

    def _replace(self, m: int, best: list[int]) -> Member:
        rng = self._rng(m)
        donor = best[int(rng.integers(len(best)))]
        configuration = self.members[donor].configuration
        fits = contains(self._space, configuration)
        explored = explore(self._space, configuration, self._factors, rng) if fits else self._draw(m)
        return Member(explored, Checkpoint(donor, self.step))

    def _draw(self, m: int) -> dict[str, Any]:
        return sample(self._space, self._rng(m))

    def _rng(self, m: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, self._draws, m])
