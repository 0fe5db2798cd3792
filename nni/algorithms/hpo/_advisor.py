"""What the advisors that give budgets to trials have in common: requests, metrics, ends, resume."""

from __future__ import annotations

import json
import logging
import math
import secrets
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nni.algorithms._validators.advisor import BUDGET_KEY, AdvisorValidator
from nni.algorithms.hpo._halving import Scheduler
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._samples import samples
from nni.common.errors import NniError
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, MetricType, send
from nni.search_space import SearchSpace, SearchSpaceError, check_configuration, contains, parse

_logger = logging.getLogger(__name__)

_RANKED = {"SUCCEEDED", "EARLY_STOPPED"}
"""How a trial may end whose metric counts; whatever else a trial reported before it broke is not to be trusted."""


@dataclass
class _Trial:
    """A trial that runs: what it was given, and what it has reported."""

    configuration: Mapping[str, Any]
    budget: int
    owner: str | None = None  # the trial that asked for it, where one trial takes several configurations
    final: float | None = None
    latest: float | None = None
    sequence: int = -1


class BudgetAdvisor(MsgDispatcherBase):
    """Starts trials with budgets that a schedule decides, and configurations that a subclass suggests.

    Each request is answered now or, where the schedule waits for results, later, with exactly one trial. A trial is
    ranked by its final result, without one by its latest intermediate result (HPO-330); one that fails, or reports
    nothing or NaN, is worse than any other, and nothing waits for it. One that the system took
    away, e.g. because the experiment was stopped, is started again.

    On resume the whole history is lived through again: with the same seed, an interrupted run goes on like one that
    was not interrupted.

    Parameters
    ----------
    optimize_mode
        ``maximize`` or ``minimize``.
    scheduler
        Who decides about budgets.
    max_budget
        The budget that imported results without one are taken to have had (HPO-356).
    seed
        Drawn, and logged, if None.
    """

    validator: ClassVar[type[AdvisorValidator]]

    def __init__(self, optimize_mode: str, scheduler: Scheduler, max_budget: int, seed: int | None) -> None:
        super().__init__()
        self._sign = sign(optimize_mode)
        self._scheduler = scheduler
        self._max_budget = max_budget
        self._seed = secrets.randbits(32) if seed is None else int(seed)
        if seed is None:
            _logger.info("%s draws with seed %d", type(self).__name__, self._seed)
        self._space = SearchSpace({})
        self._running: dict[int, _Trial] = {}
        self._requests: deque[dict[str, Any]] = deque()  # what each message has beside id and parameters
        self._next_number = 0
        self._unplaced: list[int] = []  # of an earlier run, trials with budgets that are not to be had
        self._lock = threading.RLock()  # for multiThread (PLT-006)

    # What a subclass is asked for

    @abstractmethod
    def take_space(self, space: SearchSpace) -> None:
        """Take a checked search space: the first, or one that has changed."""

    @abstractmethod
    def suggest(self, budget: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return a new configuration."""

    def started(self, configuration: Mapping[str, Any]) -> None:
        """Hear of a configuration whose trial runs from now on."""

    def learn(self, configuration: Mapping[str, Any], budget: int, loss: float) -> None:
        """Hear of a result; infinity is a failure's."""

    def learn_imported(self, configuration: Mapping[str, Any], budget: int, loss: float) -> None:
        """Hear of a result from elsewhere; by default as of any other."""
        self.learn(configuration, budget, loss)

    def to_parameters(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration as trials get it."""
        return dict(configuration)

    def to_configuration(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return what trials got as a configuration of the space."""
        return parameters

    # Messages

    def process_command(self, command: CommandType, data: Any) -> None:
        """Handle one command at a time."""
        with self._lock:
            super().process_command(command, data)

    def handle_initialize(self, data: dict[str, Any]) -> None:
        """Take the search space."""
        self.handle_update_search_space(data)
        send(CommandType.Initialized, "")

    def handle_update_search_space(self, data: dict[str, Any]) -> None:
        """Take a search space. Of a changed one (HPO-059), configurations that do not fit into it never run again.

        Raises
        ------
        SearchSpaceError
            If the space is malformed or one that the advisor cannot search.
        """
        space = parse(data)
        self.validator().validate_search_space(space)
        self._space = space
        self.take_space(space)
        self._restrict()
        self._serve()

    def handle_request_trial_jobs(self, data: int) -> None:
        """Send as many trials as are asked for; those that the schedule cannot name yet, later."""
        self._requests.extend({} for _ in range(data))
        self._serve()

    def handle_report_metric_data(self, data: dict[str, Any]) -> None:
        """Take a metric: a number, or a dict with a number under ``default``.

        Raises
        ------
        MetricError
            If it is neither; the trial then counts as if it had not reported.
        ValueError
            For an unsupported type (HPO-444).
        """
        if data["type"] == MetricType.REQUEST_PARAMETER:
            self._requests.append({key: data[key] for key in ("trial_job_id", "parameter_index")})
            self._serve()
        elif data["type"] in {MetricType.FINAL, MetricType.PERIODICAL}:
            final = data["type"] == MetricType.FINAL
            self._hear(data["parameter_id"], json.loads(data["value"]), None if final else data["sequence"])
        else:
            raise ValueError(f"Data type not supported: {data['type']}")

    def handle_trial_end(self, data: dict[str, Any]) -> None:
        """Rank a trial that has ended, and start what that decides."""
        self._end(json.loads(data["hyper_params"])["parameter_id"], data["trial_job_id"], data["event"])
        self._serve()

    def handle_import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn from ``{"parameter": {..., "TRIAL_BUDGET": ...}, "value": ...}`` pairs.

        Without a budget, the largest is assumed (HPO-356). Those that do not fit are skipped (HPO-452).
        """
        for where, parameter, value in samples(data):
            try:
                configuration, budget = self._split(parameter, where)
                check_configuration(self._space, configuration, f"{where}.parameter")
                loss = self._sign * scalar(value, where)
            except (SearchSpaceError, MetricError) as error:
                _logger.warning("import: skipped: %s", error)
            else:
                self.learn_imported(configuration, budget, math.inf if math.isnan(loss) else loss)

    def handle_replay_history(self, data: dict[str, Any]) -> None:
        """Live through the history of an earlier run (HPO-413); ids go on where they ended."""
        self._next_number = max(self._next_number, data["next_parameter_id"])
        for event in data["events"]:
            try:
                self._live_through(event)
            except NniError as error:  # it was reported when it happened first; the rest of the history still counts
                _logger.warning("replay: %s", error)
        if self._unplaced:
            count, first = len(self._unplaced), self._unplaced[0]
            _logger.warning("replay: %d trials fit nowhere into the schedule; the first is parameter %s", count, first)
            self._unplaced.clear()
        self._restrict()  # the space may have been changed since

    # How it is done

    def _restrict(self) -> None:
        self._scheduler.restrict(lambda configuration: contains(self._space, configuration))

    def _serve(self) -> None:
        """Answer requests as long as the schedule knows what to start."""
        while self._requests and (job := self._scheduler.next()) is not None:
            number, more = self._next_number, self._requests[0]
            configuration = job.configuration
            if configuration is None:
                configuration = self.suggest(job.budget, np.random.default_rng([self._seed, number]))
            self._requests.popleft()
            self._next_number += 1
            self._scheduler.start(number, job, configuration)
            self._note(number, configuration, job.budget, more.get("trial_job_id"))
            parameters = {**self.to_parameters(configuration), BUDGET_KEY: job.budget}
            message = {"parameter_id": number, "parameters": parameters, "parameter_source": "algorithm", **more}
            send(CommandType.NewTrialJob, json.dumps(message))

    def _note(self, number: int, configuration: Mapping[str, Any], budget: int, owner: str | None = None) -> None:
        self._running[number] = _Trial(configuration, budget, owner)
        if contains(self._space, configuration):
            self.started(configuration)

    def _hear(self, number: int, value: Any, sequence: int | None) -> None:
        trial = self._running.get(number)
        if trial is None:  # late, or of nobody's: the verdict is spoken
            return
        loss = self._sign * scalar(value, f"parameter {number}")
        if sequence is None:
            trial.final = loss
        elif sequence >= trial.sequence:  # a retried trial counts from 0 again, until it is as far as before
            trial.latest, trial.sequence = loss, sequence

    def _end(self, number: int, trial_id: str, status: str) -> None:
        others = [other for other, trial in self._running.items() if trial.owner == trial_id]
        for each in dict.fromkeys((number, *others)):
            trial = self._running.pop(each, None)
            if trial is None:
                _logger.debug("end of trial %s with unknown parameter %s ignored", trial_id, each)
                continue
            if status == "SYS_CANCELED":  # taken away, e.g. by `nnictl stop`: that says nothing about it
                self._scheduler.give_back(each)
                continue
            reported = trial.latest if trial.final is None else trial.final
            known = reported is not None and not math.isnan(reported) and status in _RANKED
            loss = reported if known and reported is not None else math.inf
            self._scheduler.finish(each, loss)
            if contains(self._space, trial.configuration):
                self.learn(trial.configuration, trial.budget, loss)

    def _split(self, parameters: Any, where: str) -> tuple[dict[str, Any], int]:
        """Take the budget out of a trial's parameters."""
        if not isinstance(parameters, Mapping):
            raise SearchSpaceError(f"{where}.parameter", f"expected an object of variables, got {parameters!r}")
        budget = parameters.get(BUDGET_KEY, self._max_budget)
        if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 < budget < math.inf:
            raise SearchSpaceError(f"{where}.parameter.{BUDGET_KEY}", f"expected a positive number, got {budget!r}")
        rest = {key: value for key, value in parameters.items() if key != BUDGET_KEY}
        return self.to_configuration(rest), int(budget)

    def _live_through(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "import":
            self.handle_import_data(event["data"])
        elif kind == "parameters":
            if event.get("parameter_source", "algorithm") == "algorithm":
                number = event["parameter_id"]
                configuration, budget = self._split(event["parameters"], f"trial {event['trial_job_id']}")
                if not self._scheduler.adopt(number, configuration, budget):
                    self._unplaced.append(number)
                self._note(number, configuration, budget)
        elif kind == "result":
            self._hear(event["parameter_id"], event["value"], None)
        elif kind == "intermediate":
            self._hear(event["parameter_id"], event["value"], event["sequence"])
        elif kind == "end":
            self._end(event["parameter_id"], event["trial_job_id"], event["event"])
