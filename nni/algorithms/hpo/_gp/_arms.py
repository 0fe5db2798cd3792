"""Nested spaces as arms of a bandit: no branch is given up before its own best is about known.

Expected improvement looks one trial ahead. It rather polishes the branch that is the best so far by a millionth than
finds out what another could do with some tuning, which takes several trials without an improvement. So every other
suggestion goes to a branch that is not the best one, and improves on what that branch itself has shown: to the one
that promises the largest improvement on its own best, per trial that it has had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nni.algorithms.hpo._gp._acquisition import Acquisition
from nni.algorithms.hpo._gp._matern import Floats
from nni.algorithms.hpo._gp._process import GaussianProcess
from nni.algorithms.hpo._gp._space import UnitSpace

MOST_ARMS = 16
"""Combinations of branches that are arms each; where there are more, the options of one choice are."""

_DRAWS = 4000  # to find the combinations of branches that there are
_LOOKED_AT = 100  # draws of an arm that its bound is sought among

Arm = Mapping[int, float]


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
        self, process: GaussianProcess, rows: Floats, losses: Floats, turn: int, rng: np.random.Generator
    ) -> Arm | None:
        """Return the arm whose turn it is: not the one with the best loss.

        Parameters
        ----------
        process
            The model.
        rows, losses
            All observations and, with infinite losses, running trials.
        turn
            Number of the suggestion.
        rng
            For the candidates.
        """
        arms = self.members(turn)
        best = rows[int(np.argmin(losses))]
        others = [arm for arm in arms if not in_arm(best[None], arm)[0]]
        if not others:
            return None
        promises = [self._promise(process, arm, rows, rng) for arm in others]
        return others[int(np.argmax(promises))]

    def _promise(self, process: GaussianProcess, arm: Arm, rows: Floats, rng: np.random.Generator) -> float:
        """Return the log of the improvement that an arm expects on its own best, per trial that it has had."""
        candidates = self._space.sample(_LOOKED_AT, rng, fixed=arm)
        inside = in_arm(rows, arm)
        known = process.predict_mean(rows[inside])
        best = float(known.min()) if len(known) else 0.0
        improvement = Acquisition("ei", best)(*process.predict(candidates))
        return float(improvement.max()) - math.log(len(known) + 1)


def in_arm(rows: Floats, arm: Arm) -> np.ndarray:
    """Return which rows are of an arm, shape (n,)."""
    inside = np.ones(len(rows), dtype=bool)
    for column, option in arm.items():
        inside &= rows[:, column] == option
    return inside
