"""The tuner around a sampler: it knows ids, metrics, events and changes of the space; the sampler knows the maths."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.algorithms.hpo._stopped import StoppedTrials
from nni.search_space import SearchSpace, SearchSpaceError, check_configuration, contains, parse

_logger = logging.getLogger(__name__)


class Sampler(Protocol):
    """What suggests configurations and learns from them."""

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a loss; infinity and NaN are a failure's."""

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration."""


class SamplerTuner(ReplayingTuner):
    """A tuner that leaves the choice of configurations to a sampler.

    What is suggested depends on nothing but the seed, the parameter id, the results so far and the trials that are
    running, so that a run that was interrupted goes on as if it had not been. A trial that fails, or whose result is
    NaN, counts as worse than any other. One that was stopped counts with what is expected of where it stood
    (:class:`~nni.algorithms.hpo._stopped.StoppedTrials`), as far as its intermediate results are known.

    Subclasses say with :meth:`new_sampler` which sampler, and with :meth:`check_space` which spaces they take.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}
        Which end of the metric is the better one.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.
    """

    def __init__(self, optimize_mode: str, seed: int | None) -> None:
        self._sign = sign(optimize_mode)
        self._seed = secrets.randbits(32) if seed is None else int(seed)
        if seed is None:
            _logger.info("%s draws with seed %d", type(self).__name__, self._seed)
        self._space = SearchSpace({})
        self._sampler: Sampler | None = None
        self._satisfies: Callable[[Any], bool] | None = None
        self._running: dict[Hashable, Any] = {}
        self._stopped = StoppedTrials(self._sign)
        self._results: list[tuple[Any, float]] = []  # kept as they came, for the day the space changes

    def new_sampler(self, space: SearchSpace) -> Sampler:
        """Return a sampler of a space that knows no results yet."""
        raise NotImplementedError

    def check_space(self, space: SearchSpace) -> None:
        """Raise a :class:`~nni.search_space.SearchSpaceError` if the tuner cannot search a space."""

    @property
    def sampler(self) -> Sampler:
        """The sampler of the current space."""
        if self._sampler is None:
            self._sampler = self._new_sampler()
        return self._sampler

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Suggest only what satisfies a condition, as far as the sampler can see to it itself."""
        self._satisfies = satisfies

    def _new_sampler(self) -> Sampler:
        sampler = self.new_sampler(self._space)
        if self._satisfies is not None and hasattr(sampler, "constrain"):
            sampler.constrain(self._satisfies)
        return sampler

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space. Of a changed one (HPO-059), results that fit into it still count.

        Raises
        ------
        SearchSpaceError
            If the space is malformed or has what the tuner does not take.
        """
        space = parse(search_space)
        self.check_space(space)
        self._space = space
        self._sampler = sampler = self._new_sampler()
        for configuration, loss in self._results:
            if contains(space, configuration):
                sampler.observe(configuration, loss)
        for key, configuration in self._running.items():
            if contains(space, configuration):
                sampler.start(key, configuration)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (HPO-111)
        """Return a configuration; its trial counts as running until its result or its end is heard of."""
        configuration = self.sampler.suggest(np.random.default_rng([self._seed, 0, parameter_id]))
        self.remember(parameter_id, configuration)
        return configuration

    def receive_intermediate_results(self, parameter_id: int, values: Sequence[Any]) -> None:
        """Take what a trial reported before it ended or was stopped; its result or its end is heard next."""
        self._stopped.reported(parameter_id, values)

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Learn from a result: a number, or a dict with a number under ``default``.

        Raises
        ------
        MetricError
            If it is neither (HPO-445); the tuner goes on without it.
        """
        loss = self._sign * scalar(value, f"parameter {parameter_id}")
        self._forget(parameter_id)
        self._stopped.completed(parameter_id, loss)
        self._learn(parameters, loss)

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Learn that a trial ended without a result; if it failed or was stopped, that says it was a bad one."""
        parameters = self._forget(parameter_id)
        loss = self._stopped.stopped(parameter_id)
        if parameters is not None and not success:
            self._learn(parameters, loss)

    def canceled(self, parameter_id: int) -> None:
        """Forget a trial that the system took away: it says nothing about its configuration."""
        self._forget(parameter_id)

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
            self.sampler.start(parameter_id, parameters)

    def _live_through(self, event: dict[str, Any], suggested: dict[int, Any]) -> None:
        if event["kind"] != "intermediates":
            super()._live_through(event, suggested)
        elif event["parameter_id"] in suggested:
            self.receive_intermediate_results(event["parameter_id"], event["values"])

    def _forget(self, parameter_id: int) -> Any:
        self.sampler.stop(parameter_id)
        return self._running.pop(parameter_id, None)

    def _learn(self, configuration: Any, loss: float) -> None:
        self._results.append((configuration, loss))
        if contains(self._space, configuration):
            self.sampler.observe(configuration, loss)
