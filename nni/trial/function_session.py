"""What a trial knows of itself when it is a call of a Python function in a process that runs many of them."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from nni.trial.session import Spool, to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class TrialStopped(BaseException):
    """Ends a function whose trial is to end; no `Exception`, so that ``except Exception`` does not keep it."""


class WorkerSpool(Spool):
    """The spool of a worker: one file for all of its trials, and the manager woken over the worker's own channel.

    Once the manager has gone the doorbell is rung instead, for the next one.
    """

    def __init__(self, path: str, channel: socket.socket, doorbell: str, worker: str) -> None:
        super().__init__(path, doorbell, worker)
        self._channel = channel
        self._wake = True

    def claim(self, record: str) -> None:
        """Write a record of which nobody needs to hear at once."""
        self._wake = False
        try:
            self.append(record)
        finally:
            self._wake = True

    def _wake_manager(self) -> None:
        if not self._wake:
            return
        try:
            self._channel.send(b"\n", socket.MSG_DONTWAIT)
        except BlockingIOError:  # it has more than enough to wake up for
            pass
        except OSError:
            super()._wake_manager()


class FunctionSession:
    """One trial in a worker.

    Parameters
    ----------
    order
        What the manager wants run: ``id``, ``sequence`` and ``configuration`` (the text of ``parameter.cfg``, decoded).
    spool
        Where results go.
    is_stopped
        Tells whether the trial is to end; asked after each report.
    """

    def __init__(
        self, experiment_id: str, order: dict[str, Any], spool: WorkerSpool, is_stopped: Callable[[], bool]
    ) -> None:
        self.experiment_id = experiment_id
        self.trial_id: str = order["id"]
        self.sequence_id: int = order["sequence"]
        self.parameters = order["configuration"]["parameters"]
        self._parameter_id = order["configuration"]["parameter_id"]
        self._spool = spool
        self._is_stopped = is_stopped
        self._given = False
        self._sequence = {"PERIODICAL": 0, "FINAL": 0}
        self._process = os.getpid()
        self._main = threading.main_thread()
        # Threads that an earlier trial left behind: what they report is not this trial's.
        self._strangers = frozenset(threading.enumerate()) - {self._main}
        self.ended = False

    @property
    def has_result(self) -> bool:
        """Whether a final result was reported."""
        return self._sequence["FINAL"] > 0

    def next_parameters(self) -> Any:
        """Return the configuration, which the function was called with, on the first call and None afterwards."""
        if self._given:
            return None
        self._given = True
        return self.parameters

    def report(self, kind: str, value: Any) -> None:
        """Append a result to the worker's spool; a trial that is to end ends here.

        Raises
        ------
        RuntimeError
            In a thread that an earlier trial started: nobody could tell whose result it is.
        """
        thread = threading.current_thread()
        if self.ended or thread in self._strangers:
            raise RuntimeError(f"a result was reported by the thread {thread.name!r} after its trial had ended")
        self._spool.append(self.record(kind, value))
        self._sequence[kind] += 1
        if thread is self._main and os.getpid() == self._process and self._is_stopped():
            raise TrialStopped

    def record(self, kind: str, value: Any) -> str:
        """Return the record of the next result of a kind. The trial's id stands first, where the manager looks."""
        record = {
            "trial_job_id": self.trial_id,
            "type": kind,
            "parameter_id": self._parameter_id,
            "sequence": self._sequence[kind],
            "timestamp": time.time_ns() // 1_000_000,
            "value": value,
        }
        return to_json(record, value)
