"""The documented base class of advisors: a message loop with one handler per command (HPO-140 … HPO-154)."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from nni.common.errors import NoMoreTrialError
from nni.runtime import _failure as failure
from nni.runtime._channel import Channel, ChannelClosedError
from nni.runtime._replay import import_samples
from nni.runtime._resumed_ids import ResumedIds
from nni.runtime.protocol import CommandType, send

Request = tuple[CommandType, Any]

_FATAL = {CommandType.Initialize, CommandType.RequestTrialJobs}
"""Without a search space or new configurations the experiment cannot go on (PLT-356)."""

_IN_ORDER = {CommandType.Initialize, CommandType.ReplayHistory, CommandType.UpdateSearchSpace}
"""Never handled beside another command, not even with ``multiThread``."""


class MsgDispatcherBase:
    """Inherit from this class to write an advisor: tuner and assessor in one.

    Override the ``handle_*`` methods; answer with :func:`nni.runtime.protocol.send`.

    **Threads.** All handlers of one advisor are called by one thread, the one that constructed it, one after another
    in the order in which the manager sent the messages: no locks needed. ``send`` may be called from any thread.
    Only with the legacy ``multiThread: true`` (PLT-006) does each command get a thread of its own; initialisation
    and search-space updates still run alone.

    **Failures.** What :meth:`handle_initialize` or :meth:`handle_request_trial_jobs` raises ends the experiment with
    an error. What another handler raises is logged, shown to the user, and the experiment goes on.

    **Resume.** Before the first request, finished results of the earlier run come through
    :meth:`handle_import_data`. An advisor may count its parameter ids from 0 every time: they are shifted behind
    those of the earlier run on their way out and back. Final results of trials that were running meanwhile come
    through :meth:`handle_import_data`, too. Override :meth:`handle_replay_history` to do it yourself.

    Examples
    --------
    >>> class RandomAdvisor(MsgDispatcherBase):
    ...     def handle_initialize(self, data):
    ...         self.handle_update_search_space(data)
    ...         send(CommandType.Initialized, "")
    ...     def handle_update_search_space(self, data):
    ...         self.space = data
    ...     def handle_request_trial_jobs(self, data):
    ...         for _ in range(data):
    ...             send(CommandType.NewTrialJob, json.dumps({"parameter_id": self.next_id(), "parameters": ...}))
    """

    # Defaults on the class: the documented example of a custom __init__ does not call this one.
    multi_thread = False
    stopping = False
    _failed = False
    _resumed: ResumedIds | None = None

    def __init__(self) -> None:
        self.default_command_queue: SimpleQueue[Request | None] = SimpleQueue()

    def run(self, channel: Channel | None = None) -> None:
        """Handle messages until the manager says ``Terminate`` or goes away.

        Raises
        ------
        SystemExit
            With code 1, after a fatal failure was reported.
        """
        if "default_command_queue" not in vars(self):
            MsgDispatcherBase.__init__(self)
        if channel is not None:
            channel.deliver_to(self.enqueue_command)
        self.command_queue_worker(self.default_command_queue)
        if self._failed:
            raise SystemExit(1)

    def enqueue_command(self, command: CommandType, data: Any) -> None:
        """Queue a command for its handler; ``Terminate`` ends the queue."""
        if command is not CommandType.Terminate:
            self.default_command_queue.put((command, data))
            return
        if data is not None:  # the manager is gone: what is queued is in vain
            self.stopping = True
        self.default_command_queue.put(None)

    def command_queue_worker(self, command_queue: SimpleQueue[Request | None]) -> None:
        """Handle what is queued until the queue ends."""
        while (request := command_queue.get()) is not None and not self.stopping:
            if self.multi_thread and request[0] not in _IN_ORDER:
                threading.Thread(target=self.process_command_thread, args=(request,), daemon=True).start()
            else:
                self.process_command_thread(request)

    def process_command_thread(self, request: Request) -> None:
        """Handle one command; a failure is logged and told to the manager."""
        command, data = request
        try:
            self.process_command(command, data)
        except ChannelClosedError:
            self.stopping = True
        except NoMoreTrialError:
            send(CommandType.NoMoreTrialJobs)
        except failure.FAILURES as error:
            self._report(error, command, data, fatal=command in _FATAL or getattr(error, "fatal", False))

    def process_command(self, command: CommandType, data: Any) -> None:
        """Call the handler of a command."""
        if not self.concerns(command, data):
            return
        if self._resumed is not None:
            data = self._resumed.translate(command, data, self.handle_import_data)
            if data is None:
                return
        failure.call(getattr(self, _HANDLERS[command]), data)

    def concerns(self, command: CommandType, data: Any) -> bool:
        """Whether to hear of it; by default not of the trials that the user made, which have no parameter id."""
        if command is CommandType.ReportMetricData:
            return data["parameter_id"] is not None
        return command is not CommandType.TrialEnd or failure.parameter_id_in(data["hyper_params"]) is not None

    def handle_initialize(self, data: Any) -> None:
        """Take the search space, once; then ``send(CommandType.Initialized, '')``."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_initialize")

    def handle_request_trial_jobs(self, data: int) -> None:
        """Send ``NewTrialJob`` exactly `data` times, now or later (HPO-145)."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_request_trial_jobs")

    def handle_update_search_space(self, data: Any) -> None:
        """Take a changed search space; nothing needs to be sent."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_update_search_space")

    def handle_import_data(self, data: list[dict[str, Any]]) -> None:
        """Take finished ``{"parameter": ..., "value": ...}`` pairs from elsewhere or from before a resume."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_import_data")

    def handle_add_customized_trial(self, data: Any) -> None:
        """Hear that the user submitted a trial, ``{"parameter_id", "parameters"}``; the default ignores it.

        The manager has created it already: send no ``NewTrialJob`` for it. Experimental (HPO-151).
        """

    def handle_report_metric_data(self, data: dict[str, Any]) -> None:
        """Take a metric: ``parameter_id``, ``trial_job_id``, ``type`` (:class:`MetricType`), ``sequence``, ``value``.

        ``value`` is JSON text of what the trial reported.

        Raises
        ------
        ValueError
            For an unsupported ``type`` (HPO-147).
        """
        raise NotImplementedError(f"{type(self).__name__} must override handle_report_metric_data")

    def handle_trial_end(self, data: dict[str, Any]) -> None:
        """Hear that a trial ended: ``trial_job_id``, ``event`` (its status), ``hyper_params`` (the text sent)."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_trial_end")

    def handle_replay_history(self, data: dict[str, Any]) -> None:
        """Take back what happened before a restart: ``next_parameter_id`` and ``events`` in their order.

        The default hands finished results to :meth:`handle_import_data` and shifts the ids of new trials behind the
        old ones. An override is responsible for both.
        """
        self._resumed = ResumedIds(data)
        samples = import_samples(data["events"])
        if samples:
            self.handle_import_data(samples)

    def _report(self, error: BaseException, command: CommandType, data: Any, *, fatal: bool) -> None:
        try:
            failure.report(error, command=command, data=data, fatal=fatal)
        except ChannelClosedError:
            self.stopping = True
        if fatal:
            self._failed = self.stopping = True
            self.default_command_queue.put(None)


_HANDLERS = {
    CommandType.Initialize: "handle_initialize",
    CommandType.ReplayHistory: "handle_replay_history",
    CommandType.RequestTrialJobs: "handle_request_trial_jobs",
    CommandType.UpdateSearchSpace: "handle_update_search_space",
    CommandType.ImportData: "handle_import_data",
    CommandType.AddCustomizedTrialJob: "handle_add_customized_trial",
    CommandType.ReportMetricData: "handle_report_metric_data",
    CommandType.TrialEnd: "handle_trial_end",
}
