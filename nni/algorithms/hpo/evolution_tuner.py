"""Naive evolution under its documented class (HPO-220 … HPO-227)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from nni.algorithms._validators.evolution import EvolutionValidator
from nni.algorithms.hpo._evolution import Individual, Population
from nni.algorithms.hpo._late import LateTuner
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._samples import samples
from nni.search_space import SearchSpace, SearchSpaceError, check_configuration, parse

_logger = logging.getLogger(__name__)


class EvolutionTuner(LateTuner):
    """Evolves a population: of two random members the better one has a mutated child, which takes the other's place.

    It begins with ``population_size`` random configurations. When all of them are under way and fewer than two have a
    result, a suggestion is owed until there is a pair: the tuner never falls back on random search for want of
    results. The place of a trial that ends without a result goes to a new random configuration, so that the
    population keeps its size (HPO-225). A result of NaN is worse than any other.

    All ten types of variables and nested choices are taken. On a finite space nothing is suggested twice before all
    has been.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    population_size : int, default 32
        Number of individuals. Should be much larger than the number of trials at a time; if it is smaller, some of
        these wait. In a config the default is 20 (X-02).
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    E. Real et al., "Large-Scale Evolution of Image Classifiers", ICML 2017.

    Examples
    --------
    >>> tuner = EvolutionTuner("minimize", population_size=10, seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(100):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(100)["x"] - 0.5) < 0.3
    True
    """

    def __init__(self, optimize_mode: str = "maximize", population_size: int = 32, *, seed: int | None = None) -> None:
        seeded = {} if seed is None else {"seed": seed}
        EvolutionValidator().validate_class_args(optimize_mode=optimize_mode, population_size=population_size, **seeded)
        super().__init__(seed)
        self._sign = sign(optimize_mode)
        self._space = SearchSpace({})
        self._population = Population(self._space, int(population_size))

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space; members that are not of a changed one (HPO-059) are replaced by random ones.

        Raises
        ------
        SearchSpaceError
            If the space is malformed or has a type of a custom tuner's.
        """
        space = parse(search_space)
        EvolutionValidator().validate_search_space(space)
        self._space = space
        self._population = self._population.moved_to(space)
        self.deliver()

    def suggest(self, parameter_id: int) -> dict[str, Any] | None:
        """Return a configuration and note that its trial runs; None while too few members have a result."""
        configuration = self._population.suggest(self._rng(parameter_id))
        if configuration is not None:
            self.remember(parameter_id, configuration)
        return configuration

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note that a trial is running."""
        self._population.start(parameter_id, parameters, self._rng(parameter_id))

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Learn from a result: a number, or a dict with a number under ``default``.

        Raises
        ------
        MetricError
            If it is neither (HPO-445); the trial then counts as one without a result.
        """
        self._population.finish(parameter_id, self._sign * scalar(value, f"parameter {parameter_id}"))
        self.deliver()

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Replace a trial that ended without a result by a random one (HPO-225)."""
        self._population.lose(parameter_id)
        self.deliver()

    def canceled(self, parameter_id: int) -> None:
        """Suggest a configuration whose trial was taken away again."""
        self._population.give_back(parameter_id)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Let ``{"parameter": ..., "value": ...}`` pairs compete for places; those that do not fit are skipped."""
        found = []
        for where, parameter, value in samples(data):
            try:
                check_configuration(self._space, parameter, f"{where}.parameter")
                loss = self._sign * scalar(value, where)
            except (SearchSpaceError, MetricError) as error:
                _logger.warning("import: skipped: %s", error)
            else:
                found.append(Individual(parameter, np.inf if np.isnan(loss) else loss))
        self._population.join(found)
        self.deliver()

    def _rng(self, parameter_id: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, parameter_id])
