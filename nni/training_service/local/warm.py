"""Warm start: trials forked from a Python that has imported their modules already (``preload``)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nni.trial_runner.script import TrialFiles

_logger = logging.getLogger(__name__)
_PATIENCE = 2.0  # seconds between closing a server's channel and killing it
_SHELL = re.compile(r"[|&;<>()$`*?\[\]~{}!#\n\\]")
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class ScriptCommand:
    """A trial command that is nothing but ``python script.py arguments``."""

    interpreter: str
    script: str
    arguments: tuple[str, ...]


def parse_command(command: str) -> ScriptCommand | str:
    """Return the script that a trial command runs, or why it cannot be forked."""
    if _SHELL.search(command):
        return "it needs a shell"
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"it cannot be split into words ({error})"
    if not words or not _PYTHON.fullmatch(Path(words[0]).name):
        return "it does not start with python"
    if len(words) < 2 or words[1].startswith("-"):
        return "options of the interpreter need a start of its own"
    interpreter = shutil.which(words[0])
    if interpreter is None:
        return f"{words[0]} is not on PATH"
    return ScriptCommand(interpreter, words[1], tuple(words[2:]))


class WarmStart(asyncio.Protocol):
    """The manager's end of a fork server.

    Parameters
    ----------
    command
        What to fork; decides which interpreter serves.
    modules
        What the server imports.
    code_directory
        Where trials run; the server runs there too, so that modules of the user's own can be preloaded.
    """

    def __init__(self, command: ScriptCommand, modules: list[str], code_directory: Path) -> None:
        self._command = command
        self._modules = modules
        self._code_directory = code_directory
        self.ready = False
        """Whether a server runs that has imported everything."""
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._partial = b""
        self._waiting: dict[str, Callable[[int | None], None]] = {}
        self._task: asyncio.Task[Any] | None = None
        self._lost = asyncio.Event()
        self._ended: asyncio.Future[None] | None = None

    def fork(
        self, trial_id: str, files: TrialFiles, environment: dict[str, str], answer: Callable[[int | None], None]
    ) -> None:
        """Have a trial forked; `answer` gets the launcher's process id, None if the server cannot.

        The claim of the trial makes it safe to start it the usual way then, whatever the server did before.
        """
        if self._process is None:
            self._start()
        request = {
            "id": trial_id,
            "claim": str(files.claim),
            "state": str(files.state),
            "stdout": str(files.log),
            "stderr": str(files.stderr),
            "directory": str(self._code_directory),
            "environment": {**os.environ, **environment},
            "script": self._command.script,
            "arguments": self._command.arguments,
        }
        self._waiting[trial_id] = answer
        line = json.dumps(request).encode() + b"\n"
        if self._transport is None:
            self._unsent.append(line)
        else:
            self._transport.write(line)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not -m: nothing but the modules asked for may be in the path or imported.
            self._process = subprocess.Popen(
                [self._command.interpreter, "-m", "nni.trial.fork_server", *self._modules],
                cwd=self._code_directory,
                env={**os.environ, "NNI_FORK_SERVER_FD": str(theirs.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        _logger.info("warm start: process %d imports %s", self._process.pid, ", ".join(self._modules))
        self._task = asyncio.get_running_loop().create_task(self._connect(ours))

    async def _connect(self, ours: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what had to wait for the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._lost.clear()
        for line in self._unsent:
            transport.write(line)
        self._unsent = []

    def data_received(self, data: bytes) -> None:
        """Take the server's answers."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "ready" in message:
                self.ready = True
                for problem in filter(None, message["ready"]):
                    _logger.warning("preload: %s", problem)
            elif (answer := self._waiting.pop(message["id"], None)) is not None:
                if "error" in message:
                    _logger.warning("trial %s cannot be forked: %s", message["id"], message["error"])
                answer(message.get("pid"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Start what was asked for the usual way; the next trial gets a new server."""
        del exc
        waiting, self._waiting = self._waiting, {}
        if waiting:
            _logger.warning("the fork server ended; the trials it was to fork are started the usual way")
        if self._process is not None:
            # Not here: the socket is closed only after this, and the server lives as long as it is open.
            self._ended = asyncio.get_running_loop().run_in_executor(None, _end, self._process)
        self._process, self._transport, self.ready = None, None, False
        self._lost.set()
        for answer in waiting.values():
            answer(None)

    def close(self) -> None:
        """End the server; the trials it forked run on."""
        self._waiting = {}
        if self._transport is not None:
            self._transport.close()
        elif self._process is not None:
            self._process.kill()

    async def wait_closed(self) -> None:
        """Return when no server process is left."""
        if self._transport is not None:
            await self._lost.wait()
        if self._ended is not None:
            await self._ended


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a server whose channel is closed; one that is busy importing hears of it late."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
