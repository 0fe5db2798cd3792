"""The manager's end of one worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from nni.trial.function_files import ask_to_stop
from nni.trial_runner.process import TrialProcess
from nni.trial_runner.spool_reader import SpoolReader

if TYPE_CHECKING:
    from nni.training_service.base import TrialForm
    from nni.training_service.function.lives import WorkerFiles

_CHANNEL = 3  # descriptor of the worker's end


class Phase(Enum):
    """What a worker does."""

    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Launch:
    """How workers are started."""

    interpreter: str
    settings: dict[str, str]
    environment: dict[str, str]


class Worker(asyncio.Protocol):
    """A worker process, its channel and its spool.

    Parameters
    ----------
    files
        Its paths.
    grace
        Seconds between SIGTERM and SIGKILL.
    on_wake
        Called when there is something to read in the spool.
    on_message
        Called with what the worker says beside that.
    on_exit
        Called when no process of it is left, with its exit code where that can be known.
    offset
        Where to begin to read in the spool.
    """

    def __init__(
        self,
        files: WorkerFiles,
        grace: float,
        on_wake: Callable[[Worker], None],
        on_message: Callable[[Worker, dict[str, Any]], None],
        on_exit: Callable[[Worker, int | None], None],
        offset: int = 0,
    ) -> None:
        self.files = files
        self.reader = SpoolReader(files.spool, offset)
        self.phase = Phase.LOADING
        self.trial: str | None = None
        """The trial it was given last and whose end has not been read."""
        self.begun = False
        """Whether it has begun that trial."""
        self.idle_since = 0.0
        self.fault = ""
        """Why it could not load the function."""
        self.process: TrialProcess | None = None
        self._grace = grace
        self._on_wake = on_wake
        self._on_message = on_message
        self._on_exit = on_exit
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self._patience: asyncio.TimerHandle | None = None
        self._is_told = False
        self._task: asyncio.Task[Any] | None = None

    # Its life

    def start(self, launch: Launch) -> None:
        """Start the process.

        Raises
        ------
        OSError
            The machine is out of processes, memory, files or space.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = _spawn(launch, self.files, theirs)
            except BaseException:
                ours.close()
                raise
        self.process = TrialProcess(pid, child=True, grace=self._grace, on_exit=self._exited)
        self._task = asyncio.get_running_loop().create_task(self._connect(ours))

    def watch(self, pid: int) -> None:
        """Follow the worker of a manager that died, which has a trial to bring to its end."""
        self.phase = Phase.ENDING
        self.process = TrialProcess(pid, child=False, grace=self._grace, on_exit=self._exited)

    async def _connect(self, ours: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the channel."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Tell what came: empty lines say that there is something in the spool."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line:
                self._on_message(self, json.loads(line))
        if b"" in lines:
            self._on_wake(self)

    def _exited(self, code: int | None) -> None:
        self.process = None
        self.free()
        self._on_exit(self, code)
        self.reader.close()

    # Its trials

    def run(self, form: TrialForm) -> None:
        """Give it a trial; only where it is idle."""
        assert self._transport is not None
        self.phase, self.trial, self.begun = Phase.BUSY, form.id, False
        order = f'{{"id":"{form.id}","sequence":{form.sequence_id},"configuration":{form.parameters}}}\n'
        self._transport.write(order.encode("utf-8", "surrogateescape"))

    def trial_ended(self, now: float) -> None:
        """Take note that it is free for another trial."""
        self._forget_patience()
        if self._is_told:
            ask_to_stop(self.files.control, stop=False)
            self._is_told = False
        self.phase, self.trial, self.idle_since = Phase.IDLE, None, now

    def stop_trial(self, patience: float) -> None:
        """End its trial: at its next report, or after `patience` seconds together with the whole worker."""
        if patience <= 0 or self.process is None:
            self.stop()
        elif self._patience is None:
            self._is_told = True
            with contextlib.suppress(OSError):
                ask_to_stop(self.files.control)
            self._patience = asyncio.get_running_loop().call_later(patience, self.stop)

    def stop(self) -> None:
        """SIGTERM to the worker and all its children, SIGKILL after the grace."""
        self.phase = Phase.ENDING
        if self.process is not None:
            self.process.stop()

    def dismiss(self) -> None:
        """Let an idle worker end the way a Python program ends, within the grace."""
        self.phase = Phase.ENDING
        if self._transport is None:  # not connected yet
            self.stop()
            return
        self._transport.close()
        self._patience = asyncio.get_running_loop().call_later(self._grace, self.stop)

    def free(self) -> None:
        """Let go of the channel and of timers."""
        self._forget_patience()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def abandon(self) -> None:
        """Stop watching without touching the worker: it ends by itself after its trial."""
        if self.process is not None:
            self.process.detach()
        self.free()
        self.reader.close()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _spawn(launch: Launch, files: WorkerFiles, channel: socket.socket) -> int:
    create = os.O_RDWR | os.O_CREAT | os.O_APPEND
    settings = json.dumps({**launch.settings, "name": files.name})
    return os.posix_spawn(
        launch.interpreter,
        [launch.interpreter, "-m", "nni.trial.function_worker", settings],
        {**launch.environment, "NNI_WORKER_FD": str(_CHANNEL)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, channel.fileno(), _CHANNEL),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(files.stdout), create, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, str(files.stderr), create, 0o644),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP),
    )
