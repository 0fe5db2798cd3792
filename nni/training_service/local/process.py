"""One trial's process group: starting, adopting, stopping it, and knowing when nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from nni.trial_runner.script import TrialFiles

_POLL = 0.05  # seconds between looks at a group that was told to end, and at processes without a pidfd


class TrialProcess:
    """The process group of one trial.

    Parameters
    ----------
    pid
        Process id of the launcher, which leads the group.
    child
        Whether this process started it (and so learns its exit code).
    grace
        Seconds between SIGTERM and SIGKILL.
    on_exit
        Called once, with the exit code (None if it cannot be known), when no process of the group is left.
    """

    def __init__(self, pid: int, *, child: bool, grace: float, on_exit: Callable[[int | None], None]) -> None:
        self.pid = pid
        self._child = child
        self._grace = grace
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._exit_code: int | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self._pidfd = _open_pidfd(pid)
        if self._pidfd is None:
            self._loop.call_later(_POLL, self._poll_launcher)
        else:
            self._loop.add_reader(self._pidfd, self._launcher_ended)

    def stop(self) -> None:
        """SIGTERM to the group now, SIGKILL after the grace; the end is announced by `on_exit`."""
        if self._kill_timer is None:
            self._signal(signal.SIGTERM)
            self._kill_timer = self._loop.call_later(self._grace, self._signal, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _poll_launcher(self) -> None:
        if self._reap() if self._child else not psutil.pid_exists(self.pid):
            self._follow_group()
        else:
            self._loop.call_later(_POLL, self._poll_launcher)

    def _launcher_ended(self) -> None:
        assert self._pidfd is not None
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # What the trial left behind goes too. Before reaping: until then the group's id cannot be another's.
        self._signal(signal.SIGTERM)
        if self._child:
            self._reap()
        self._follow_group()

    def _reap(self) -> bool:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid:
            self._exit_code = os.waitstatus_to_exitcode(status)
        return pid != 0

    def _follow_group(self) -> None:
        if _group_lives(self.pid):
            self.stop()
            self._loop.call_later(_POLL, self._follow_group)
        else:
            if self._kill_timer is not None:
                self._kill_timer.cancel()
            self._on_exit(self._exit_code)

    def detach(self) -> None:
        """Stop watching without touching the trial: it runs on."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        if self._kill_timer is not None:
            self._kill_timer.cancel()


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
        (os.POSIX_SPAWN_OPEN, 1, str(files.log), create, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, str(files.stderr), create, 0o644),
    ]
    return os.posix_spawn(
        bash,
        [bash, str(files.script)],
        environment,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP),
    )


@cache
def _bash() -> str:
    return shutil.which("bash") or "/bin/bash"


def _group_lives(group: int) -> bool:
    """Tell whether a process group has a member that is more than a zombie.

    An orphan's zombie stays where nobody reaps it, as under the first process of many containers.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


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


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable at the process' end; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, or the process is gone already
        return None
