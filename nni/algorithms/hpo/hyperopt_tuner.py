"""TPE, annealing and random search under their documented class (HPO-200 … HPO-217)."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import numpy as np

from nni.algorithms._class_args import ClassArgsError
from nni.algorithms._validators.anneal import AnnealValidator
from nni.algorithms._validators.hyperopt import RandomValidator, TpeValidator
from nni.algorithms.hpo._anneal import AnnealSampler
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.algorithms.hpo._tpe import Lie, TpeSampler
from nni.search_space import SearchSpace, SearchSpaceError, check_configuration, contains, parse, sample

_logger = logging.getLogger(__name__)


class Sampler(Protocol):
    """What suggests configurations and learns from them; the tuner around it knows ids, metrics and events."""

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a loss; infinity and NaN are a failure's."""

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration."""


class RandomSampler:
    """Independent draws from the prior (Bergstra and Bengio 2012); nothing is learnt."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note nothing."""

    def stop(self, key: Hashable) -> None:
        """Note nothing."""

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Note nothing."""

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a draw."""
        return sample(self._space, rng)


class HyperoptTuner(ReplayingTuner):
    """Tree-structured Parzen estimator, annealing, or random search.

    What is suggested depends on nothing but the seed, the parameter id, the results so far and the trials that are
    running, so that a run that was interrupted goes on as if it had not been. All ten types of variables and nested
    choices are taken (HPO-070, HPO-071). ``randint`` of up to 64 values is unordered (HPO-216).

    A trial that fails, or whose result is NaN, counts as worse than any other. Of a finite space no configuration is
    suggested by TPE or annealing twice until all have been.

    The helper ``miscs_update_idxs_vals`` of the documented class belongs to the data structures of another library
    and is not there (HPO-207).

    Parameters
    ----------
    algorithm_name : {"tpe", "anneal", "random_search"}
        ``"random"`` is short for the last.
    optimize_mode : {"maximize", "minimize"}, default "minimize"
        Which end of the metric is the better one. In a config the default is ``maximize`` (X-01).
    parallel_optimize : bool, default False
        Let TPE take running trials into account (constant liar), so that trials that run at the same time differ.
    constant_liar_type : {"min", "max", "mean"}, default "min"
        What the result of a running trial is taken to be, among the losses so far: the metric in ``minimize`` mode, its
        negative in ``maximize`` mode (X-30). ``min`` is the least explorative.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", NIPS 2011.
    J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012.

    Examples
    --------
    >>> tuner = HyperoptTuner("tpe", optimize_mode="minimize", seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(50):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(50)["x"] - 0.5) < 0.2
    True
    """

    def __init__(
        self,
        algorithm_name: str,
        optimize_mode: str = "minimize",
        parallel_optimize: bool = False,
        constant_liar_type: Lie = "min",
        *,
        seed: int | None = None,
    ) -> None:
        arguments = {
            "optimize_mode": optimize_mode,
            "parallel_optimize": parallel_optimize,
            "constant_liar_type": constant_liar_type,
        }
        TpeValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        if algorithm_name not in ("tpe", "anneal", "random_search", "random"):
            known = "'tpe', 'anneal' or 'random_search'"
            raise ClassArgsError("algorithm_name", f"expected {known}, got {algorithm_name!r}")
        self._is_tpe = algorithm_name == "tpe"
        self._anneals = algorithm_name == "anneal"
        self._lie = constant_liar_type if parallel_optimize else None
        self._sign = sign(optimize_mode)
        self._seed = secrets.randbits(32) if seed is None else int(seed)
        if seed is None:
            _logger.info("%s draws with seed %d", type(self).__name__, self._seed)
        self._space = SearchSpace({})
        self._sampler: Sampler = self._new_sampler()
        self._running: dict[Hashable, Any] = {}
        self._results: list[tuple[Any, float]] = []  # kept as they came, for the day the space changes
        self._unnumbered = 0  # suggestions made without a parameter id

    def _new_sampler(self) -> Sampler:
        if self._anneals:
            return AnnealSampler(self._space)
        return TpeSampler(self._space, self._lie) if self._is_tpe else RandomSampler(self._space)

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space. Of a changed one (HPO-059), results that fit into it still count.

        Raises
        ------
        SearchSpaceError
            If the space is malformed or has a type of a custom tuner's.
        """
        space = parse(search_space)
        validator = TpeValidator if self._is_tpe else AnnealValidator if self._anneals else RandomValidator
        validator().validate_search_space(space)
        self._space = space
        self._sampler = self._new_sampler()
        for configuration, loss in self._results:
            if contains(space, configuration):
                self._sampler.observe(configuration, loss)
        for key, configuration in self._running.items():
            if contains(space, configuration):
                self._sampler.start(key, configuration)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (HPO-111)
        """Return a configuration; its trial counts as running until its result or its end is heard of."""
        configuration = self._sampler.suggest(np.random.default_rng([self._seed, 0, parameter_id]))
        self.remember(parameter_id, configuration)
        return configuration

    def get_suggestion(self, random_search: bool = False) -> dict[str, Any]:
        """Return a configuration without a trial for it.

        Parameters
        ----------
        random_search
            Draw from the prior whatever the algorithm (HPO-205).
        """
        self._unnumbered += 1
        rng = np.random.default_rng([self._seed, 1, self._unnumbered])
        return sample(self._space, rng) if random_search else self._sampler.suggest(rng)

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Learn from a result: a number, or a dict with a number under ``default``.

        Raises
        ------
        MetricError
            If it is neither (HPO-445); the tuner goes on without it.
        """
        loss = self._sign * scalar(value, f"parameter {parameter_id}")
        self._forget(parameter_id)
        self._learn(parameters, loss)

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Learn that a trial ended without a result; if it failed or was stopped, that says it was a bad one."""
        parameters = self._forget(parameter_id)
        if parameters is not None and not success:
            self._learn(parameters, math.inf)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn from ``{"parameter": ..., "value": ...}`` pairs; those that do not fit are skipped (HPO-452)."""
        for where, parameter, value in samples(data):
            try:
                check_configuration(self._space, parameter, f"{where}.parameter")
                loss = self._sign * scalar(value, where)
            except (SearchSpaceError, MetricError) as error:
                _logger.warning("import: skipped: %s", error)
            else:
                self._learn(parameter, loss)

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note that a trial is running."""
        self._running[parameter_id] = parameters
        if contains(self._space, parameters):
            self._sampler.start(parameter_id, parameters)

    def _forget(self, parameter_id: int) -> Any:
        self._sampler.stop(parameter_id)
        return self._running.pop(parameter_id, None)

    def _learn(self, configuration: Any, loss: float) -> None:
        self._results.append((configuration, loss))
        if contains(self._space, configuration):
            self._sampler.observe(configuration, loss)
