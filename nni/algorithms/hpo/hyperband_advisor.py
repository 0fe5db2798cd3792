"""Hyperband under its documented class (HPO-320 … HPO-332)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from nni.algorithms._validators.hyperband import HyperbandValidator
from nni.algorithms.hpo._advisor import BudgetAdvisor
from nni.algorithms.hpo._halving import Brackets, bracket_table, deepest
from nni.algorithms.hpo._untried import Untried
from nni.search_space import SearchSpace

_logger = logging.getLogger(__name__)


class Hyperband(BudgetAdvisor):
    """Tries many random configurations with a small budget, and the better ones again with a larger one.

    Runs bracket after bracket, from the one that begins with the most configurations and the smallest budget to the
    one that gives the whole budget to each; then it begins again, until the experiment is over. After each round of a
    bracket the best ``1 / eta`` of its configurations run again, as new trials, with ``eta`` times the budget.

    A trial finds its budget among its parameters under the key ``TRIAL_BUDGET``, an integer (HPO-324). All ten types
    of variables and nested choices are taken. Of a finite space every configuration is drawn once before any is drawn
    twice. Imported results change nothing: configurations are compared within a round only.

    Parameters
    ----------
    R : int, default 60
        The largest budget of a trial, in whatever unit trials count.
    eta : int, default 3
        ``(eta - 1) / eta`` of the configurations are discarded after a round.
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    exec_mode : {"parallelism", "serial"}, default "parallelism"
        Whether a bracket may begin while others still run, when there is nothing else to start.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    L. Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018; the number of
    configurations is that of the documented table (HPO-325).
    """

    validator = HyperbandValidator

    def __init__(
        self,
        R: int = 60,  # noqa: N803 - documented
        eta: int = 3,
        optimize_mode: str = "maximize",
        exec_mode: str = "parallelism",
        *,
        seed: int | None = None,
    ) -> None:
        arguments = {"R": R, "eta": eta, "optimize_mode": optimize_mode, "exec_mode": exec_mode}
        HyperbandValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        table = bracket_table(int(R), int(eta), deepest(int(R), 1, int(eta)))
        super().__init__(optimize_mode, Brackets(table, serial=exec_mode == "serial"), int(R), seed)
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

    def handle_import_data(self, data: list[dict[str, Any]]) -> None:
        """Do nothing: what ran elsewhere cannot be compared with the configurations of a round."""
        _logger.info("Hyperband does not learn from imported results; %d ignored", len(data))
