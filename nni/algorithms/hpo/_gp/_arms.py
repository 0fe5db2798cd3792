"""Nested spaces as arms of a bandit: no branch is given up before its own best is about known.

Expected improvement looks one trial ahead. It rather polishes the branch that is the best so far by a millionth than
finds out what another could do with some tuning, which takes several trials without an improvement. So every other
suggestion goes to a branch that is not the best one, and improves on what that branch itself has shown: to the one
that promises the largest improvement on its own best, per trial that it has had.

A model that knows little between its observations, as a forest does, also promises much where nothing is to be had.
There, a branch has to be one that could still become the best ("rising bandits", Li et al., "Efficient Automatic CASH
via Rising Bandits", AAAI 2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from nni.algorithms.hpo._gp._acquisition import Acquisition
from nni.algorithms.hpo._gp._matern import Floats
from nni.algorithms.hpo._gp._space import UnitSpace

MOST_ARMS = 16
"""Combinations of branches that are arms each; where there are more, the options of one choice are."""

_DRAWS = 4000  # to find the combinations of branches that there are
_LEAST_TRIALS = 8  # of an arm, to tell where it is heading
_LOOKED_AT = 100  # draws of an arm that its bound is sought among

Arm = Mapping[int, float]
"""The columns of the choices that switch a branch on, and the options that do."""


class Model(Protocol):
    """What predicts the losses of rows."""

    def predict(self, rows: Floats, /) -> tuple[Floats, Floats]:
        """Return mean and variance, shape (n,) each."""

    def predict_mean(self, rows: Floats, /) -> Floats:
        """Return the mean alone."""


class Arms:
    """The arms of a space.

    Parameters
    ----------
    space
        The space.
    """

    def __init__(self, space: UnitSpace) -> None:
        self._space = space
        self._columns = sorted({d.parent for d in space.encoder.dimensions if d.parent is not None})
        self._arms = self._combinations() if self._columns else []
        self._by_choice = len(self._arms) > MOST_ARMS

    @property
    def exist(self) -> bool:
        """Whether there are at least two arms."""
        return len(self._arms) > 1

    def _combinations(self) -> list[Arm]:
        rows = self._space.sample(_DRAWS, np.random.default_rng(0))[:, self._columns]
        patterns = np.unique(np.where(np.isnan(rows), -1.0, rows), axis=0)
        return [{c: v for c, v in zip(self._columns, row, strict=True) if v >= 0} for row in patterns.tolist()]

    def members(self, turn: int) -> list[Arm]:
        """Return the arms to choose from at a turn."""
        if not self._by_choice:
            return self._arms
        top = [c for c in self._columns if self._space.encoder.dimensions[c].parent is None]
        column = top[turn % len(top)]
        return [{column: float(option)} for option in range(self._space.encoder.dimensions[column].size or 1)]

    def choose(
        self,
        model: Model,
        rows: Floats,
        losses: Floats,
        turn: int,
        rng: np.random.Generator,
        *,
        only_rising: bool = False,
    ) -> Arm | None:
        """Return the arm whose turn it is: not the one with the best loss; None if there is no other to choose.

        Parameters
        ----------
        model
            What was learnt from them.
        rows, losses
            All observations and, with infinite losses, running trials.
        turn
            Number of the suggestion.
        rng
            For the candidates.
        only_rising
            Leave out arms that would not catch up with the best one if they went on as they did.
        """
        arms = self.members(turn)
        best = rows[int(np.argmin(losses))]
        others = [arm for arm in arms if not in_arm(best[None], arm)[0]]
        if only_rising:
            others = [arm for arm in others if may_catch_up(losses[in_arm(rows, arm)], losses)]
        if not others:
            return None
        promises = [self._promise(model, arm, rows, rng) for arm in others]
        return others[int(np.argmax(promises))]

    def _promise(self, model: Model, arm: Arm, rows: Floats, rng: np.random.Generator) -> float:
        """Return the log of the improvement that an arm expects on its own best, per trial that it has had."""
        candidates = self._space.sample(_LOOKED_AT, rng, fixed=arm)
        inside = in_arm(rows, arm)
        known = model.predict_mean(rows[inside])
        best = float(known.min()) if len(known) else 0.0
        improvement = Acquisition("ei", best)(*model.predict(candidates))
        return float(improvement.max()) - math.log(len(known) + 1)


def in_arm(rows: Floats, arm: Arm) -> np.ndarray:
    """Return which rows are of an arm, shape (n,)."""
    inside = np.ones(len(rows), dtype=bool)
    for column, option in arm.items():
        inside &= rows[:, column] == option
    return inside


def may_catch_up(own: Floats, losses: Floats) -> bool:
    """Tell whether an arm could become the best within as many more trials as there were, all of them its own.

    It is taken to go on gaining as it did since the first quarter of its trials. Gains become smaller as a rule, which
    makes that the most it can gain: an arm that fails this would not catch up (Li et al. 2020).

    Parameters
    ----------
    own
        Losses of the arm's trials, oldest first; infinite for running ones.
    losses
        Those of all trials.
    """
    known = own[np.isfinite(own)]
    if len(known) < _LEAST_TRIALS:
        return True
    early = len(known) // 4
    before, now = float(known[:early].min()), float(known.min())
    gain = (before - now) / (len(known) - early)
    return now - gain * len(losses) <= float(losses.min())
