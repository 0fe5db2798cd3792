"""Asynchronous successive halving, as an advisor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nni.algorithms._validators.asha import AshaValidator
from nni.algorithms.hpo._advisor import BudgetAdvisor
from nni.algorithms.hpo._asha import Rungs
from nni.algorithms.hpo._halving import bracket_table, deepest
from nni.algorithms.hpo._untried import Untried
from nni.search_space import SearchSpace


class ASHA(BudgetAdvisor):
    """Successive halving without rounds: a configuration goes on as soon as it is among the best ``1 / eta`` so far.

    Nothing ever waits for a slow trial, so that any number of trials at a time is kept busy; the price is that some
    go on which later turn out not to be among the best. A configuration that goes on is a new trial with the same
    hyper-parameters and a larger budget, under the key ``TRIAL_BUDGET`` of its parameters. Failures count as results,
    the worst ones.

    All ten types of variables and nested choices are taken. Imported results count where there is a rung of their
    ``TRIAL_BUDGET``, and may go on from there.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    min_budget, max_budget : int, default 1 and 81
        The smallest and the largest budget of a trial, in whatever unit trials count. The rungs are
        ``max_budget / eta^k``, rounded down, down to `min_budget`.
    eta : int, default 3
        ``1 / eta`` of the results of a rung may go on, with ``eta`` times the budget.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2018, arXiv:1810.05934, algorithm 2.
    """

    validator = AshaValidator

    def __init__(
        self,
        optimize_mode: str = "maximize",
        min_budget: int = 1,
        max_budget: int = 81,
        eta: int = 3,
        *,
        seed: int | None = None,
    ) -> None:
        budgets = {"min_budget": min_budget, "max_budget": max_budget, "eta": eta}
        seeded = {} if seed is None else {"seed": seed}
        AshaValidator().validate_class_args(optimize_mode=optimize_mode, **budgets, **seeded)
        smallest, largest, eta = int(min_budget), int(max_budget), int(eta)
        longest = bracket_table(largest, eta, deepest(largest, smallest, eta))[0]
        self._rungs = Rungs([each.budget for each in longest], eta)
        super().__init__(optimize_mode, self._rungs, largest, seed)
        self._untried = Untried(self._space, again=True)

    def take_space(self, space: SearchSpace) -> None:
        """Draw from another space from now on."""
        self._untried = Untried(space, again=True)

    def suggest(self, budget: int, rng: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 - all from the prior
        """Return a draw from the prior."""
        return self._untried.draw(rng)

    def started(self, configuration: Mapping[str, Any]) -> None:
        """Draw others first."""
        self._untried.mark(configuration)

    def learn_imported(self, configuration: Mapping[str, Any], budget: int, loss: float) -> None:
        """Put a result from elsewhere on its rung."""
        self._untried.mark(configuration)
        self._rungs.add(configuration, budget, loss)
