"""The assessor's side of the dispatcher: histories of running trials and verdicts on them."""

from __future__ import annotations

import json
import logging
from typing import Any

from nni.assessor import Assessor, AssessResult
from nni.runtime._failure import AlgorithmError, call
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, send

_logger = logging.getLogger("nni.assessor")


class TrialHistory:
    """Intermediate results of one trial, in the order of their sequence numbers whatever order they came in."""

    def __init__(self) -> None:
        self._values: dict[int, Any] = {}
        self._last = -1
        self._in_order = True
        self._shown = 0
        self.bad = False

    def add(self, sequence: int, value: Any) -> None:
        """Take one report; a trial that was run again overwrites what it reported before."""
        self._in_order &= sequence > self._last or sequence in self._values
        self._last = max(self._last, sequence)
        self._values[sequence] = value

    def grown(self) -> list[Any] | None:
        """Return the history if it is longer than the last one returned (HPO-135), else None."""
        if len(self._values) <= self._shown:
            return None
        if not self._in_order:
            self._values = dict(sorted(self._values.items()))
            self._in_order = True
        self._shown = len(self._values)
        return list(self._values.values())


class AssessorDispatcher(MsgDispatcherBase):
    """Message loop of an assessor; the tuner has its own, so neither waits for the other (HPO-154).

    A slow assessor is asked once about everything that came meanwhile (HPO-135); the full history of a trial was
    always shown to it before it hears that the trial ended.
    """

    def __init__(self, assessor: Assessor) -> None:
        super().__init__()
        self._assessor = assessor
        self._name = type(assessor).__name__
        self._histories: dict[str, TrialHistory] = {}
        self._newest: dict[str, dict[str, Any]] = {}

    def enqueue_command(self, command: CommandType, data: Any) -> None:
        """Queue a command, and remember the newest report of each trial; called by the reading thread."""
        if command is CommandType.ReportMetricData:
            self._newest[data["trial_job_id"]] = data
        super().enqueue_command(command, data)

    def concerns(self, command: CommandType, data: Any) -> bool:  # noqa: ARG002 - every trial is judged
        """Hear of every trial, also of those that the user made."""
        return True

    def handle_report_metric_data(self, data: dict[str, Any]) -> None:
        """Add an intermediate result to its trial's history, and assess it unless a newer one is queued."""
        trial = data["trial_job_id"]
        self._history(trial).add(data["sequence"], json.loads(data["value"]))
        if self._newest.get(trial, data) is data:
            self._assess(trial)

    def handle_trial_end(self, data: dict[str, Any]) -> None:
        """Tell the assessor that a trial ended, and forget its history."""
        trial = data["trial_job_id"]
        self._newest.pop(trial, None)
        self._histories.pop(trial, None)
        call(self._assessor.trial_end, trial, data["event"] == "SUCCEEDED")

    def handle_replay_history(self, data: dict[str, Any]) -> None:
        """Restore the histories of running trials, and show those of succeeded ones as when they ended.

        An assessor with a method ``replay(events)`` gets the events instead of the calls for ended trials.
        """
        ended = self._restore(data["events"])
        replay = getattr(self._assessor, "replay", None)
        if replay is not None:
            call(replay, data["events"])
            return
        for event, history in ended:
            self._replay_end(event["trial_job_id"], history, succeeded=event["event"] == "SUCCEEDED")

    def _restore(self, events: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[Any] | None]]:
        ended = []
        for event in events:
            if event["kind"] == "intermediate":
                self._history(event["trial_job_id"]).add(event["sequence"], event["value"])
            elif event["kind"] == "end":
                history = self._histories.pop(event["trial_job_id"], None)
                ended.append((event, history.grown() if history else None))
        return ended

    def _replay_end(self, trial: str, history: list[Any] | None, *, succeeded: bool) -> None:
        try:
            if history and succeeded:  # what failed trials reported is of no use to an assessor that is told so
                call(self._assessor.assess_trial, trial, history)
            call(self._assessor.trial_end, trial, succeeded)
        except AlgorithmError as error:
            data = {"trial_job_id": trial}
            self._report(error, CommandType.ReplayHistory, data, fatal=False)

    def _history(self, trial: str) -> TrialHistory:
        return self._histories.setdefault(trial, TrialHistory())

    def _assess(self, trial: str) -> None:
        history = self._histories[trial]
        values = history.grown()
        if values is None:
            return
        result = call(self._assessor.assess_trial, trial, values)
        if self._verdict(result) is AssessResult.Bad and not history.bad:
            history.bad = True
            _logger.debug("%s: trial %s is bad after %d results", self._name, trial, len(values))
            send(CommandType.KillTrialJob, trial)

    def _verdict(self, result: Any) -> AssessResult:
        """Return the verdict; a plain bool is understood as in ``AssessResult(True)`` (HPO-130)."""
        if isinstance(result, (AssessResult, bool)):
            return AssessResult(result)
        raise AlgorithmError(
            f"{self._name}.assess_trial returned {result!r:.80}, expected AssessResult.Good or AssessResult.Bad"
        )
