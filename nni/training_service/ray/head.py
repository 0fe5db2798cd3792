"""The Ray of an experiment that names no cluster: it outlives the manager, and ends with the experiment.

A keeper (`nni.training_service.ray.keeper`) starts it and ends it. What they agree on is in the experiment's directory,
in ``ray/``: ``keeper.lock`` is held by the keeper as long as it lives, ``head.json`` tells how Ray is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from nni.training_service.pool import UnreachableError
from nni.trial_runner.lock import is_held

_logger = logging.getLogger(__name__)
LOCK, STATE, LOG, TOKEN = "keeper.lock", "head.json", "ray.log", "token"
_PATIENCE = 120.0  # seconds for Ray to start
_END = 40.0  # seconds for it to end
_LOOK = 0.1


class Head:
    """A Ray on this machine.

    Parameters
    ----------
    experiment
        The experiment's directory.
    root
        A directory beside those of its runners, relative to the user's home.
    """

    def __init__(self, experiment: Path, root: str) -> None:
        self._experiment = experiment
        self._directory = experiment / "ray"
        self.is_new = False
        """Whether it was started by this manager."""
        self._runners = Path.home() / Path(root).parent

    async def start(self) -> tuple[str, dict[str, str]]:
        """
        Return the address of the Ray that runs, which is started if none does, and the variables it is reached with.

        Raises
        ------
        UnreachableError
            Ray does not start.
        """
        if not is_held(self._directory / LOCK):
            self._keep()
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            state = self._state()
            if "address" in state:
                return state["address"], variables(self._directory)
            if "fault" in state:
                raise UnreachableError(f"ray: it cannot be started on this machine: {state['fault']}")
            await asyncio.sleep(_LOOK)
        raise UnreachableError(f"ray: it does not start within {_PATIENCE:.0f} s: see {self._directory / LOG}")

    async def stop(self) -> None:
        """End it, and remove what it left."""
        deadline = time.monotonic() + _END
        while is_held(self._directory / LOCK) and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self._directory / LOCK).read_text()), signal.SIGTERM)
            await asyncio.sleep(5 * _LOOK)
        if is_held(self._directory / LOCK):
            _logger.error("ray: it does not end: see %s", self._directory / LOG)

    def _keep(self) -> None:
        self.is_new = True
        self._directory.mkdir(mode=0o700, exist_ok=True)
        (self._directory / STATE).unlink(missing_ok=True)
        _logger.warning(
            "ray: no address is given, so a Ray of this experiment's own is started on this machine; it asks for a "
            "token, but parts of it may listen on all addresses (docs: ray.md)"
        )
        # The lock goes to the keeper as it is: there is no moment at which it is not held.
        lock = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (self._directory / LOG).open("ab") as log:
                keeper = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "nni.training_service.ray.keeper"),
                        *(str(lock), str(self._experiment), str(self._runners)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",  # or a file there would be taken for a module
                    start_new_session=True,
                    pass_fds=[lock],
                )
            os.write(lock, str(keeper.pid).encode())
        finally:
            os.close(lock)

    def _state(self) -> dict[str, str]:
        try:
            state: dict[str, str] = json.loads((self._directory / STATE).read_text())
        except (OSError, ValueError):
            return {}
        return state


def variables(directory: Path) -> dict[str, str]:
    """Return the variables with which the Ray of a directory is started and reached."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(directory / TOKEN),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
