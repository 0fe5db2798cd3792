"""The manager's end of the dispatcher: a child process at the other side of a socket pair."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nni.runtime.protocol import CommandType, Message, decode, encode

_logger = logging.getLogger(__name__)
_PATIENCE = 5.0  # seconds a dispatcher gets to end after it was told to, or after it closed its channel


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """How a dispatcher is started.

    Parameters
    ----------
    directory
        The experiment's directory.
    gpu_indices
        ``CUDA_VISIBLE_DEVICES`` of the dispatcher (PLT-090, 339: none are visible unless configured).
    """

    directory: Path
    log_level: str = "info"
    gpu_indices: str = ""
    include_intermediate_results: bool = False

    def environment(self, mode: str) -> dict[str, str]:
        """Return the variables that the documentation gives the dispatcher, beside the manager's own."""
        log = self.directory / "log"
        return {
            **os.environ,
            "SDK_PROCESS": "dispatcher",
            "NNI_MODE": mode,
            "NNI_CHECKPOINT_DIRECTORY": str(self.directory / "checkpoint"),
            "NNI_LOG_DIRECTORY": str(log),
            "NNI_LOG_LEVEL": self.log_level,
            "NNI_INCLUDE_INTERMEDIATE_RESULTS": str(self.include_intermediate_results).lower(),
            "CUDA_VISIBLE_DEVICES": self.gpu_indices,
        }


class DispatcherLink(asyncio.Protocol):
    """Starts dispatchers, one after the other, and carries messages.

    Parameters
    ----------
    on_message
        Called with each message, on the event loop.
    on_lost
        Called with one line of explanation when a dispatcher ended that was not told to.
    """

    def __init__(
        self,
        settings: DispatcherSettings,
        on_message: Callable[[Message], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_lost = on_lost
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._partial: list[bytes] = []
        self._terminated = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.last_error = ""

    def start(self, mode: str) -> None:
        """Start a dispatcher process; messages sent from now on are for it.

        Raises
        ------
        OSError
            The machine is out of processes or memory.
        """
        ours, theirs = socket.socketpair()
        with theirs, (self._settings.directory / "log" / "dispatcher_stderr.log").open("ab") as stderr:
            environment = self._settings.environment(mode)
            environment["NNI_DISPATCHER_FD"] = str(theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nni"],
                cwd=self._settings.directory / "log",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in a foreground manager's terminal is the manager's to handle
            )
        self._transport = None
        self._unsent = []
        self._partial = []
        self._terminated = False
        self.last_error = ""
        self._spawn(self._connect(ours))

    async def _connect(self, ours: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what had to wait for the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._write()

    def send(self, command: CommandType, data: Any = None) -> None:
        """Send a message to the present dispatcher; to one that just died it is lost, the store has it."""
        if command is CommandType.Terminate:
            self._terminated = True
        self._unsent.append(encode(command, data))
        if len(self._unsent) == 1:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        """Write what a turn of the loop wants said in one piece: the dispatcher is woken once."""
        if self._transport is None or not self._unsent:
            return
        lines, self._unsent = self._unsent, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(lines))

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._partial, lines[0]])
            self._partial = []
        if rest:
            self._partial.append(rest)
        for line in lines:
            self._receive(line)

    def _receive(self, line: bytes) -> None:
        try:
            message = decode(line)
        except (ValueError, KeyError, TypeError) as error:
            _logger.error("the dispatcher sent something that is no message (%s): %.200r", error, line)
            return
        if message.command is CommandType.Error and message.data["fatal"]:
            self.last_error = message.data["message"]
        self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn how the dispatcher ended, and tell."""
        del exc
        if self._process is not None:
            self._spawn(self._bury(self._process))

    async def _bury(self, process: subprocess.Popen[bytes]) -> None:
        code = await asyncio.to_thread(_end, process)
        if not self._terminated:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            cause = f": {self.last_error}" if self.last_error else ""
            self._on_lost(f"the dispatcher (tuner and assessor) ended with {how}{cause}")

    async def close(self) -> None:
        """End the dispatcher and wait for it."""
        if self._process is None:
            return
        if not self._terminated:
            self.send(CommandType.Terminate)
        self._write()
        await asyncio.to_thread(_end, self._process)
        if self._transport is not None:
            self._transport.close()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Wait for a dispatcher that has been told to end, or make it."""
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
