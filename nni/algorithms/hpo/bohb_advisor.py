"""BOHB under its documented name (HPO-340 … HPO-358)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nni.algorithms._validators.bohb import BohbValidator
from nni.algorithms.hpo._advisor import BudgetAdvisor
from nni.algorithms.hpo._bohb import PcsError, PcsSpace
from nni.algorithms.hpo._halving import Brackets, bracket_table, deepest
from nni.algorithms.hpo.config_generator import ConfigGenerator
from nni.search_space import SearchSpace, contains

_TRIES = 1000  # configurations to look for one that is not forbidden


class BOHB(BudgetAdvisor):
    """Hyperband whose configurations come from a model of all results so far, instead of from the prior.

    Brackets follow each other as in :class:`~nni.algorithms.hpo.hyperband_advisor.Hyperband`, in the mode
    ``parallelism``; the configurations of their first rounds come from a :class:`ConfigGenerator`. A trial finds its
    budget among its parameters under the key ``TRIAL_BUDGET``, an integer. Imported results count for the budget that
    stands among their parameters, else for ``max_budget`` (HPO-356). Results of a space that was changed count as far
    as they fit into the new one.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    min_budget, max_budget : int, default 1 and 3
        The smallest and the largest budget of a trial.
    eta : int, default 3
        After a round of a bracket, ``1 / eta`` of its configurations go on with ``eta`` times the budget.
    min_points_in_model, top_n_percent, num_samples, random_fraction, bandwidth_factor, min_bandwidth
        See :class:`ConfigGenerator`.
    config_space : str, optional
        Absolute path of a file in the format "pcs new", to be used instead of the experiment's search space.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    S. Falkner, A. Klein, F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018.
    """

    validator = BohbValidator

    def __init__(
        self,
        optimize_mode: str = "maximize",
        min_budget: int = 1,
        max_budget: int = 3,
        eta: int = 3,
        min_points_in_model: int | None = None,
        top_n_percent: int = 15,
        num_samples: int = 64,
        random_fraction: float = 0.33,
        bandwidth_factor: float = 3.0,
        min_bandwidth: float = 0.001,
        config_space: str | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        model: dict[str, Any] = {
            "min_points_in_model": min_points_in_model,
            "top_n_percent": top_n_percent,
            "num_samples": num_samples,
            "random_fraction": random_fraction,
            "bandwidth_factor": bandwidth_factor,
            "min_bandwidth": min_bandwidth,
        }
        budgets = {"min_budget": min_budget, "max_budget": max_budget, "eta": eta}
        others = {"optimize_mode": optimize_mode, "config_space": config_space}
        BohbValidator().validate_class_args(**budgets, **model, **others, **({} if seed is None else {"seed": seed}))
        self._file = None if config_space is None else PcsSpace(config_space)
        smallest, largest, eta = int(min_budget), int(max_budget), int(eta)
        table = bracket_table(largest, eta, deepest(largest, smallest, eta))
        super().__init__(optimize_mode, Brackets(table), largest, seed)
        self._model_arguments = model
        self._results: list[tuple[float, int, Mapping[str, Any]]] = []
        self._generator = ConfigGenerator(self._space, **self._model_arguments)

    def handle_update_search_space(self, data: dict[str, Any]) -> None:
        """Take a search space, unless there is one in a file."""
        super().handle_update_search_space(data if self._file is None else self._file.raw)

    def take_space(self, space: SearchSpace) -> None:
        """Model another space, with those results that fit into it."""
        self._generator = ConfigGenerator(space, **self._model_arguments)
        for loss, budget, configuration in self._results:
            if contains(space, configuration):
                self._generator.new_result(loss, budget, configuration, update_model=False)

    def suggest(self, budget: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration of the model's.

        Raises
        ------
        PcsError
            If nothing is found that the file of the search space does not forbid.
        """
        for _ in range(_TRIES):
            configuration = self._generator.get_config(budget, rng)
            if self._file is None or self._file.allows(self._file.to_parameters(configuration)):
                return configuration
        raise PcsError(f"config_space: {_TRIES} configurations in a row were forbidden ones")

    def started(self, configuration: Mapping[str, Any]) -> None:
        """Suggest others first."""
        self._generator.started(configuration)

    def learn(self, configuration: Mapping[str, Any], budget: int, loss: float) -> None:
        """Learn from a result."""
        self._results.append((loss, budget, configuration))
        self._generator.new_result(loss, budget, configuration, update_model=False)

    def to_parameters(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration as trials get it; flat where the search space comes from a file."""
        return dict(configuration) if self._file is None else self._file.to_parameters(configuration)

    def to_configuration(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return what trials got as a configuration of the space."""
        return parameters if self._file is None else self._file.to_configuration(parameters)
