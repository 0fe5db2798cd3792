"""The process of a manager, from the launcher's side: spawned, fed with its config, waited for.

It lives in its own session, so neither Ctrl-C nor the end of the launching shell reaches it (PLT-364).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nni.store.registry import ExperimentRegistry, RegistryEntry

__all__ = ["LaunchError", "LaunchOptions", "LaunchStep", "Launched", "ManagerCrashError", "ManagerProcess"]

_POLL_S = 0.5
_ABORT_GRACE_S = 10.0
_STDERR_LINES = 15


class LaunchError(NniError):
    """The experiment did not start; the text is the manager's or the launcher's reason."""


class ManagerCrashError(LaunchError):
    """The manager process ended before it answered; its logs are kept and their path is in the text."""


class LaunchStep(Enum):
    """What a launch has reached; passed to the ``notify`` callback with the experiment id."""

    CREATED = "created"  # id and directory exist
    SPAWNED = "spawned"  # the manager process runs
    WAITING = "waiting"  # it still does not answer: sent about twice a second


@dataclass(frozen=True)
class LaunchOptions:
    """How to start a manager.

    Attributes
    ----------
    port
        Port of REST API and web page, 1025 to 65535. Default 8080.
    debug
        Debug logs, and no version check of trial runners (PLT-024). Default False.
    url_prefix
        Path under which all routes lie, for reverse proxies (PLT-225). Default none.
    log_level
        One of trace, debug, info, warning, error, fatal. Default: the config's, else info, with ``debug`` debug.
    host
        Address to listen on. Default 127.0.0.1; on any other one the manager demands the token in the URLs it tells.
    """

    port: int = 8080
    debug: bool = False
    url_prefix: str | None = None
    log_level: str | None = None
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Launched:
    """A manager that answers."""

    id: str
    directory: Path
    port: int
    pid: int
    urls: list[str]
    platform: str
    url_prefix: str | None = None


class ManagerProcess:
    """One start of a manager process."""

    def __init__(
        self,
        entry: RegistryEntry,
        action: str,
        options: LaunchOptions,
        registry: ExperimentRegistry,
        notify: Callable[[LaunchStep, str], None] | None,
    ) -> None:
        self._entry = entry
        self._action = action
        self._options = options
        self._registry = registry
        self._notify = notify or (lambda _step, _id: None)
        self._logs = entry.directory / "log"

    def run(self, config: str | None) -> Launched:
        """Spawn the manager, hand it the config, and wait for its word."""
        receive, send = os.pipe()
        try:
            process = self._spawn(send, with_input=config is not None)
        finally:
            os.close(send)
        try:
            self._registry.update(self._entry.id, pid=process.pid)
            self._notify(LaunchStep.SPAWNED, self._entry.id)
            if config is not None:
                _feed(process, config)
            return self._await_ready(process, receive)
        except LaunchError:
            _wait_or_kill(process)  # it said that it gives up, or it is gone
            raise
        except BaseException:
            self._abort(process)
            raise
        finally:
            os.close(receive)

    def _spawn(self, ready: int, *, with_input: bool) -> subprocess.Popen[bytes]:
        # In the experiment's directory: "-m" puts the working directory on sys.path, and a user's folder may hold
        # modules that shadow the ones the manager needs.
        with (self._logs / "nnictl_stdout.log").open("ab") as out, (self._logs / "nnictl_stderr.log").open("ab") as err:
            return subprocess.Popen(
                self._command(ready),
                stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(ready,),
                cwd=self._entry.directory,
                start_new_session=True,
            )

    def _command(self, ready: int) -> list[str]:
        command = [sys.executable, "-m", "nni.server", "--experiment-id", self._entry.id]
        command += ["--directory", str(self._entry.directory), "--action", self._action]
        command += ["--port", str(self._options.port), "--ready-fd", str(ready)]
        if self._options.host != LaunchOptions.host:
            command += ["--host", self._options.host]
        if self._options.url_prefix:
            command += ["--url-prefix", self._options.url_prefix]
        if self._options.log_level:
            command += ["--log-level", self._options.log_level]
        return command

    def _await_ready(self, process: subprocess.Popen[bytes], receive: int) -> Launched:
        for event in self._events(process, receive):
            if event["event"] == "ready":
                _reap_later(process)
                return self._ready(event)
            if event["event"] == "error":
                raise LaunchError(event["message"])
        raise self._crash(process.wait())

    def _events(self, process: subprocess.Popen[bytes], receive: int) -> Iterator[dict[str, Any]]:
        """Yield the manager's lines until it closes the pipe or ends; a grandchild may keep the pipe open."""
        buffer = b""
        ended = False
        while True:
            if select.select([receive], [], [], 0 if ended else _POLL_S)[0]:
                chunk = os.read(receive, 65536)
                if not chunk:
                    return
                *lines, buffer = (buffer + chunk).split(b"\n")
                yield from map(json.loads, lines)
            elif ended:
                return
            else:
                self._notify(LaunchStep.WAITING, self._entry.id)
                ended = process.poll() is not None

    def _ready(self, event: Mapping[str, Any]) -> Launched:
        port, pid, urls = int(event["port"]), int(event["pid"]), [str(url) for url in event["urls"]]
        entry = self._registry.update(self._entry.id, port=port, pid=pid, urls=urls)
        return Launched(entry.id, entry.directory, port, pid, urls, entry.platform, self._options.url_prefix)

    def _abort(self, process: subprocess.Popen[bytes]) -> None:
        """End a manager that nobody will ever hear of, and the trials it may have started already."""
        from nni.experiment.stop import leftovers, terminate  # noqa: PLC0415 - psutil, needed only here

        process.terminate()
        _wait_or_kill(process)
        # Else another manager has been faster, and the trials are its own; and a view never has any.
        if not self._entry.alive and not self._entry.is_view:
            terminate(leftovers(self._entry.directory))

    def _crash(self, code: int) -> ManagerCrashError:
        self._registry.update(self._entry.id, status="STOPPED", end_time=time.time_ns() // 1_000_000)
        path = self._logs / "nnictl_stderr.log"
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        with path.open(encoding="utf-8", errors="replace") as stream:
            tail = "".join(deque(stream, _STDERR_LINES)).rstrip()
        detail = f"; its last words:\n{tail}\n" if tail else "; "
        return ManagerCrashError(
            f"the manager of experiment {self._entry.id} {how} before it answered{detail}logs: {path} and {self._logs}"
        )


def _feed(process: subprocess.Popen[bytes], config: str) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as stream:
            stream.write(config.encode())
    except BrokenPipeError:
        pass  # it died or refused early; what it wrote on the pipe tells more


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_ABORT_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Collect the manager's exit code whenever it ends, so that a long-lived parent is left with no zombie."""
    threading.Thread(target=process.wait, name="nni-reaper", daemon=True).start()
