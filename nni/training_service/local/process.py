"""Launchers of trials on this machine: starting them, and knowing them again. Watching them is the trial runner's."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import cache
from typing import TYPE_CHECKING

import psutil

from nni.trial_runner.script import LOG, SCRIPT, STDERR

if TYPE_CHECKING:
    from nni.trial_runner.script import TrialFiles


def spawn(files: TrialFiles, environment: dict[bytes, bytes]) -> int:
    """Start a trial's launcher in a session of its own and return its process id.

    The environment comes encoded: doing it for each trial is a third of the work of a start.

    Raises
    ------
    OSError
        The machine is out of processes, memory, files or space.
    """
    bash = _bash()
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, files.text(LOG), create, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, files.text(STDERR), create, 0o644),
    ]
    return os.posix_spawn(
        bash,
        [bash, files.text(SCRIPT)],
        environment,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP),
    )


@cache
def _bash() -> str:
    return shutil.which("bash") or "/bin/bash"


def is_launcher(pid: int, files: TrialFiles) -> bool:
    """Tell whether a process is this trial's launcher; a process id alone may have been given to a stranger."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A command with `exec` leaves the process its number but not its command line; the exports stay.
        if str(files.script) in process.cmdline() or process.environ().get("NNI_SYS_DIR") == str(files.directory):
            return True
        # Whoever bears this number now and lived when the number was written down is the one who wrote it.
        return files.warm.exists() and process.create_time() <= files.claim.stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False


def age(pid: int) -> float:
    """Return for how many seconds a process has been running; 0 when it is gone.

    Both times are of the wall clock as it is now: one that was set meanwhile makes no difference.
    """
    try:
        return max(0.0, time.time() - psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0
