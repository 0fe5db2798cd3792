"""The message loop of a tuner, with or without an assessor beside it."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from nni.common.errors import NoMoreTrialError
from nni.runtime._assessor_dispatcher import AssessorDispatcher
from nni.runtime._channel import Channel
from nni.runtime._curves import STOPPED, Curves
from nni.runtime._failure import AlgorithmError, call
from nni.runtime._parameter_sets import ParameterIds, find_renamed_key, send_new_trial
from nni.runtime._replay import History
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, MetricType, send
from nni.tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable

    from nni.assessor import Assessor

_logger = logging.getLogger("nni.main")

_CARRIES_KEYWORDS = 0x08  # inspect.CO_VARKEYWORDS, without importing inspect


class MsgDispatcher(MsgDispatcherBase):
    """Calls a tuner and an assessor as their base classes document.

    The tuner runs in the thread that calls :meth:`run`, the assessor in one of its own (HPO-154). Parameter sets are
    sent as soon as they are generated: one by one where the tuner has the default ``generate_multiple_parameters``.

    **Late delivery** (HPO-224). A tuner gets the keyword argument ``st_callback``, a function
    ``(parameter_id, parameters)`` that may be called at any later time, from any thread, for an id that it left out
    of its answer. A tuner whose class says ``delivers_late = True`` is thereby not done when its answer is short;
    it says so by raising :class:`nni.NoMoreTrialError` from ``generate_multiple_parameters``.

    Parameters
    ----------
    tuner, assessor
        The algorithms; the assessor may be None.
    include_intermediate_results
        Whether the tuner gets the last intermediate result of an early-stopped trial that has no final one
        (HPO-121). Default: False.
    """

    def __init__(
        self, tuner: Tuner, assessor: Assessor | None = None, *, include_intermediate_results: bool = False
    ) -> None:
        super().__init__()
        self.tuner = tuner
        self.assessor = assessor
        self._assessing = None if assessor is None else AssessorDispatcher(assessor)
        self._include_intermediate = include_intermediate_results
        self._last_intermediate: dict[str, str] = {}
        self._curves = Curves(tuner)
        self._ids = ParameterIds()
        self._parameters: dict[int, Any] = {}
        self._with_result: set[int] = set()
        self._customized: set[int] = set()
        self._warned_of_keys = False
        self._note = ""
        self._multiple = type(tuner).generate_multiple_parameters is not Tuner.generate_multiple_parameters
        self._keywords = takes_keywords(
            tuner.generate_multiple_parameters if self._multiple else tuner.generate_parameters
        )

    def run(self, channel: Channel | None = None) -> None:
        """Handle messages until the manager says ``Terminate`` or goes away."""
        if self._assessing is None:
            super().run(channel)
            return
        thread = threading.Thread(target=self._assessing.run, name="assessor", daemon=True)
        thread.start()
        super().run(channel)
        thread.join()  # the process ends a few seconds after Terminate in any case

    def enqueue_command(self, command: CommandType, data: Any) -> None:
        """Queue a command for the tuner, the assessor, or both."""
        is_intermediate = command is CommandType.ReportMetricData and data["type"] == MetricType.PERIODICAL
        if is_intermediate and data["parameter_id"] is not None:
            self._curves.add(data["trial_job_id"], data["sequence"], data["value"])
        if self._assessing is None:
            super().enqueue_command(command, data)
        elif is_intermediate:
            if self._include_intermediate:
                self._last_intermediate[data["trial_job_id"]] = data["value"]
            self._assessing.enqueue_command(command, data)
        else:
            super().enqueue_command(command, data)
            if command in {CommandType.TrialEnd, CommandType.ReplayHistory, CommandType.Terminate}:
                self._assessing.enqueue_command(command, data)

    def handle_initialize(self, data: Any) -> None:
        """Give the tuner its search space."""
        self.handle_update_search_space(data)
        send(CommandType.Initialized)

    def handle_update_search_space(self, data: Any) -> None:
        """Give the tuner a changed search space; if it cannot take it, the experiment goes on with the old one."""
        call(self.tuner.update_search_space, data)

    def handle_request_trial_jobs(self, data: int) -> None:
        """Send as many new parameter sets as the tuner has, up to `data`, then ``NoMoreTrialJobs`` if it has fewer."""
        ids = self._ids.take(data)
        for group in [ids] if self._multiple else [[one] for one in ids]:
            if not self._generate(group):
                send(CommandType.NoMoreTrialJobs)
                break

    def handle_report_metric_data(self, data: dict[str, Any]) -> None:
        """Give a final result to the tuner and an intermediate one to the assessor."""
        if data["type"] == MetricType.FINAL:
            if data["parameter_id"] in self._parameters:
                self._curves.tell(data["trial_job_id"], data["parameter_id"])
            self._receive(data["parameter_id"], data["trial_job_id"], data["value"])
        elif data["type"] == MetricType.PERIODICAL:
            if self._assessing is not None:
                self._assessing.handle_report_metric_data(data)
        elif data["type"] == MetricType.REQUEST_PARAMETER:
            more = {"trial_job_id": data["trial_job_id"], "parameter_index": data["parameter_index"]}
            self._generate(self._ids.take(1), **more)
        else:
            raise ValueError(f"Data type not supported: {data['type']}")

    def handle_trial_end(self, data: dict[str, Any]) -> None:
        """Tell the tuner that a trial ended, for a trial stopped early with its last intermediate result if wanted."""
        parameter_id = json.loads(data["hyper_params"])["parameter_id"]
        last = self._last_intermediate.pop(data["trial_job_id"], None)
        stopped_early = data["event"] == "EARLY_STOPPED" and parameter_id not in self._with_result
        try:
            if stopped_early and last is not None:
                self._receive(parameter_id, data["trial_job_id"], last)
            elif data["event"] in STOPPED and parameter_id in self._parameters:
                self._curves.tell(data["trial_job_id"], parameter_id)
        finally:
            self._curves.forget(data["trial_job_id"])
            self._end(parameter_id, success=data["event"] == "SUCCEEDED")

    def handle_add_customized_trial(self, data: dict[str, Any]) -> None:
        """Keep the id of a trial that the user submitted, if it has one; the tuner never hears of it (HPO-113)."""
        if data["parameter_id"] is not None:
            self._ids.start_at(data["parameter_id"] + 1)
            self._customized.add(data["parameter_id"])

    def handle_import_data(self, data: list[dict[str, Any]]) -> None:
        """Give the tuner results from elsewhere."""
        call(self.tuner.import_data, data)

    def handle_replay_history(self, data: dict[str, Any]) -> None:
        """Bring the tuner to where it was before a restart; ids go on where they ended."""
        self._ids.start_at(data["next_parameter_id"])
        history = History(
            data["events"],
            include_intermediate_results=self._include_intermediate,
            curves=self._curves if self._curves.are_wanted else None,
        )
        self._parameters.update(history.running)
        self._with_result.update(history.with_result)
        if self._include_intermediate:
            for trial, value in history.last_intermediate.items():
                self._last_intermediate.setdefault(trial, value)  # a newer one may have come already
        call(self.tuner.replay, history.events)

    def deliver(self, parameter_id: int, parameters: Any, **more: Any) -> None:
        """Send a parameter set that the tuner made, now or late (its ``st_callback``).

        Raises
        ------
        AlgorithmError
            If there is a trial of that id, or if JSON cannot carry the parameters.
        """
        if parameter_id in self._parameters:
            raise AlgorithmError(f"{type(self.tuner).__name__} delivered parameter {parameter_id} twice")
        self._parameters[parameter_id] = parameters
        send_new_trial(type(self.tuner).__name__, parameter_id, parameters, "algorithm", **more)
        if not self._warned_of_keys and (key := find_renamed_key(parameters)):
            self._warned_of_keys = True
            _logger.warning("%s: keys of parameters reach the trial as text: %s", type(self.tuner).__name__, key)

    def _generate(self, ids: list[int], **more: Any) -> bool:
        """Send a parameter set for each id; return False if the tuner has no more."""
        try:
            found = self._ask(ids)
        except NoMoreTrialError:
            return False
        for parameter_id, parameters in zip(ids, found, strict=False):  # a tuner may have fewer
            self.deliver(parameter_id, parameters, **more)
        self._pass_on_note()
        return len(found) == len(ids) or getattr(self.tuner, "delivers_late", False)

    def _pass_on_note(self) -> None:
        """Tell the user what the tuner says of itself, if it is something new."""
        note = self.tuner.note
        if note and note != self._note:
            self._note = note
            send(CommandType.TunerNote, note)

    def _ask(self, ids: list[int]) -> Any:
        keywords = {"st_callback": self.deliver} if self._keywords else {}
        if not self._multiple:  # an error then names the method that the user wrote
            return [call(self.tuner.generate_parameters, parameter_id, **keywords) for parameter_id in ids]
        found = call(self.tuner.generate_multiple_parameters, ids, **keywords)
        if not isinstance(found, (list, tuple)) or len(found) > len(ids):
            name = f"{type(self.tuner).__name__}.generate_multiple_parameters"
            given = f"{len(found)} items" if isinstance(found, (list, tuple)) else f"{found!r:.80}"
            raise AlgorithmError(f"{name} returned {given}, expected a list of at most {len(ids)} parameter sets")
        return found

    def _receive(self, parameter_id: int, trial: str, value: str) -> None:
        if parameter_id in self._customized:
            return
        if parameter_id not in self._parameters:
            _logger.warning("trial %s: result for unknown parameter %s ignored", trial, parameter_id)
            return
        self._with_result.add(parameter_id)
        call(self.tuner.receive_trial_result, parameter_id, self._parameters[parameter_id], json.loads(value))

    def _end(self, parameter_id: int, *, success: bool) -> None:
        if parameter_id in self._customized:
            self._customized.discard(parameter_id)
            return
        self._with_result.discard(parameter_id)
        if self._parameters.pop(parameter_id, self) is self:
            _logger.warning("end of a trial with unknown parameter %s ignored", parameter_id)
            return
        call(self.tuner.trial_end, parameter_id, success)


def takes_keywords(function: Callable[..., Any]) -> bool:
    """Whether a tuner's method takes the documented ``**kwargs``; many simple ones do not."""
    code = getattr(function, "__code__", None)
    return code is None or bool(code.co_flags & _CARRIES_KEYWORDS) or "st_callback" in code.co_varnames
