"""Runs one algorithm on one problem, through the messages that the manager sends: tuners and advisors alike."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nni.algorithms import registry
from nni.common.errors import NniError
from nni.runtime import MsgDispatcherBase
from nni.runtime.msg_dispatcher import MsgDispatcher
from nni.runtime.protocol import CommandType, MetricType, connect, decode, encode

BUDGET = "TRIAL_BUDGET"
_LARGEST_BUDGET = {"Hyperband": ("R", 60), "BOHB": ("max_budget", 3), "ASHA": ("max_budget", None)}


@dataclass(frozen=True)
class Limit:
    """When to stop: after so many whole evaluations, or so many seconds; None is no limit.

    An evaluation with a part of the largest budget counts as that part.
    """

    trials: float | None = 100
    seconds: float | None = None


@dataclass(frozen=True)
class Step:
    """One evaluation: what it cost in whole evaluations up to and including it, its configuration and its score."""

    cost: float
    fraction: float
    parameters: dict[str, Any]
    score: float | None


class DriveError(NniError):
    """The algorithm gave up, with its own words."""


def drive(
    name: str,
    class_args: dict[str, Any],
    search_space: dict[str, Any],
    evaluate: Callable[[dict[str, Any], float], float],
    limit: Limit,
) -> list[Step]:
    """Run an algorithm, one trial at a time.

    Parameters
    ----------
    name, class_args
        As in a config. ``optimize_mode: maximize`` is added where the algorithm takes it.
    evaluate
        Gets a configuration and the share of the largest budget to spend on it; returns the score, the larger the
        better. What it raises makes the trial a failed one.

    Returns
    -------
    list of Step
        In the order in which they ran.

    Raises
    ------
    DriveError
        The algorithm cannot take the search space or its arguments, or failed.
    """
    return _Run(name, class_args, evaluate, limit).through(search_space)


class _Run:
    """The manager's side of the protocol, with a concurrency of one."""

    def __init__(
        self, name: str, class_args: dict[str, Any], evaluate: Callable[[dict[str, Any], float], float], limit: Limit
    ) -> None:
        self._evaluate = evaluate
        self._limit = limit
        self._steps: list[Step] = []
        self._waiting: deque[tuple[Any, str]] = deque()
        self._exhausted = False
        self._algorithm = _build(name, class_args)
        self._largest = _largest_budget(name, class_args)

    def send(self, lines: bytes) -> None:
        """Take what the algorithm says."""
        for line in lines.splitlines():
            command, data = decode(line)
            if command is CommandType.NewTrialJob:
                job = json.loads(data) if isinstance(data, str) else data
                self._waiting.append((job, data if isinstance(data, str) else json.dumps(data)))
            elif command is CommandType.NoMoreTrialJobs:
                self._exhausted = True
            elif command is CommandType.Error:
                raise DriveError(data["message"])

    def _tell(self, command: CommandType, data: Any = None) -> None:
        message = decode(encode(command, data))
        self._algorithm.process_command_thread((message.command, message.data))

    def through(self, search_space: dict[str, Any]) -> list[Step]:
        connect(self)
        try:
            self._tell(CommandType.Initialize, search_space)
            started = time.monotonic()
            while not self._over(started):
                if not self._waiting:
                    self._tell(CommandType.RequestTrialJobs, 1)
                if not self._waiting:  # a tuner that is done, or an advisor that waits for trials that do not exist
                    break
                self._one(*self._waiting.popleft())
        finally:
            connect(None)
        return self._steps

    def _over(self, started: float) -> bool:
        if self._exhausted and not self._waiting:
            return True
        trials, seconds = self._limit.trials, self._limit.seconds
        spent = self._steps[-1].cost if self._steps else 0.0
        over_trials = trials is not None and spent >= trials - 1e-9
        return over_trials or (seconds is not None and time.monotonic() - started >= seconds)

    def _one(self, job: dict[str, Any], text: str) -> None:
        number, parameters = job["parameter_id"], dict(job["parameters"])
        budget = parameters.pop(BUDGET, None)
        fraction = 1.0 if budget is None or not self._largest else min(1.0, budget / self._largest)
        spent = self._steps[-1].cost if self._steps else 0.0
        try:
            score = self._evaluate(parameters, fraction)
        except Exception:  # noqa: BLE001  (a configuration that cannot be evaluated is a failed trial)
            score = math.nan
        ok = math.isfinite(score)
        self._steps.append(Step(spent + fraction, fraction, parameters, score if ok else None))
        trial = f"t{number}"
        if ok:
            about = {"parameter_id": number, "trial_job_id": trial, "type": MetricType.FINAL, "sequence": 0}
            self._tell(CommandType.ReportMetricData, {**about, "value": json.dumps(score)})
        event = "SUCCEEDED" if ok else "FAILED"
        self._tell(CommandType.TrialEnd, {"trial_job_id": trial, "event": event, "hyper_params": text})


def _build(name: str, class_args: dict[str, Any]) -> MsgDispatcherBase:
    algorithm = registry.find(name)
    arguments = dict(class_args)
    try:
        registry.validate_class_args(name, {**arguments, "optimize_mode": "maximize"})
        arguments["optimize_mode"] = "maximize"
    except NniError:  # it takes none, or something else is wrong, which building it says
        pass
    if algorithm.kind == "assessor":
        raise DriveError(f"{algorithm.name} is an assessor; a benchmark compares tuners and advisors")
    built = registry.create(name, arguments)
    return built if isinstance(built, MsgDispatcherBase) else MsgDispatcher(built)


def _largest_budget(name: str, class_args: dict[str, Any]) -> float | None:
    argument, default = _LARGEST_BUDGET.get(registry.find(name).name, (None, None))
    return class_args.get(argument, default) if argument else None
