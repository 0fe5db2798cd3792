"""Starts a Ray on this machine, and ends it when it is told to, or when nobody needs it any more.

It is no child of the manager, which may be killed while trials run. Its Ray is: ``ray stop`` would end those of others.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from nni.training_service.ray.head import LOG, STATE, TOKEN, variables
from nni.trial_runner.lock import is_held

_LOOK = 10.0  # seconds between looks whether somebody needs it
_UNUSED = 600.0  # seconds without manager and runner after which nobody does
_PATIENCE = 90.0  # seconds for Ray to start
_END = 15.0  # seconds for it to end
_OBJECTS = 100 * 1024 * 1024  # bytes of Ray's store, in which our trials have nothing


class Keeper:
    """Keeps a Ray.

    Parameters
    ----------
    experiment
        The experiment's directory.
    runners
        The directory of its runners.
    """

    def __init__(self, experiment: Path, runners: Path) -> None:
        self._experiment = experiment
        self._directory = experiment / "ray"
        self._runners = runners
        self._ray: subprocess.Popen[bytes] | None = None
        # Ray's sockets lie below, and the path of a socket has 107 characters at most.
        self._place = Path(tempfile.mkdtemp(prefix="nni-ray-", dir="/tmp"))
        self._told: dict[str, object] = {}
        self._needed_at = time.monotonic()
        self._is_over = threading.Event()

    def run(self) -> None:
        """Start Ray, and return when it has ended."""
        signal.signal(signal.SIGTERM, lambda *_: self._is_over.set())
        try:
            self._start()
            while self._ray is not None and self._ray.poll() is None and self._is_needed():
                if self._is_over.wait(_LOOK):
                    break
        finally:
            self._stop()

    def _start(self) -> None:
        token = self._directory / TOKEN
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        port, client = _free_ports(2)
        options = {
            "port": port,
            "ray-client-server-port": client,
            "node-ip-address": "127.0.0.1",
            "include-dashboard": "false",
            "object-store-memory": _OBJECTS,
            "temp-dir": self._place,
        }
        self._ray = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdin=subprocess.DEVNULL,
            cwd="/",
            # By default Ray gives its workers less of a busy machine than other programs; 'local' does not, either.
            env={"RAY_worker_niceness": "0", **os.environ, **variables(self._directory)},
            start_new_session=True,
        )
        self._await_start(f"127.0.0.1:{port}")

    def _await_start(self, address: str) -> None:
        assert self._ray is not None
        deadline = time.monotonic() + _PATIENCE
        while not self._is_over.wait(0.1):
            if self._ray.poll() is not None or time.monotonic() > deadline:
                how = "ended at once" if self._ray.poll() is not None else f"takes longer than {_PATIENCE:.0f} s"
                self._tell({"fault": f"it {how}; see {self._directory / LOG}"})
                self._is_over.set()
            elif (self._place / "ray_current_cluster").exists():
                self._tell({"address": address})
                return

    def _tell(self, state: dict[str, object]) -> None:
        self._told = state
        new = self._directory / f"{STATE}.new"
        new.write_text(json.dumps(state))
        new.replace(self._directory / STATE)

    def _is_needed(self) -> bool:
        """Return whether the experiment's manager or one of its runners lives, or did a short while ago."""
        if not self._directory.is_dir():
            return False
        if is_held(self._experiment / ".lock") or any(map(is_held, self._runners.glob("*/runner.lock"))):
            self._needed_at = time.monotonic()
        return time.monotonic() - self._needed_at < _UNUSED

    def _stop(self) -> None:
        if self._ray is not None:
            _end_session(self._ray)
        shutil.rmtree(self._place, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self._directory / TOKEN).unlink()
            if "fault" not in self._told:
                (self._directory / STATE).unlink()


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, and what these started, but for runners: they end by themselves."""
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=1.0)
        for one in left:
            with contextlib.suppress(psutil.Error):
                if one.cmdline()[2:3] != ["hold"]:
                    one.kill()
    process.wait()


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def main() -> None:
    """Be the keeper; the first argument is the lock that is held by being inherited."""
    _, _, experiment, runners = sys.argv
    Keeper(Path(experiment), Path(runners)).run()


if __name__ == "__main__":
    main()
