"""One trial's process group on this machine, with the standard library only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nni.trial_runner.script import TrialFiles

_POLL = 0.05  # seconds between looks at a group that was told to end, and at processes without a pidfd
_PROC = Path("/proc")
_DEFAULTS = (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP)


def spawn(files: TrialFiles) -> int:
    """Start a trial's launcher in a session of its own and return its process id.

    Raises
    ------
    OSError
        The machine is out of processes, memory, files or space.
    """
    bash = shutil.which("bash") or "/bin/bash"
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(files.log), create, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, str(files.stderr), create, 0o644),
    ]
    command = [bash, str(files.script)]
    try:
        return os.posix_spawn(
            bash, command, os.environ, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULTS
        )
    except NotImplementedError:  # a C library before 2.26 makes no sessions
        with files.log.open("ab") as log, files.stderr.open("ab") as stderr:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=stderr, start_new_session=True
            ).pid


class TrialProcess:
    """Watches the process group of one trial.

    Parameters
    ----------
    pid
        Process id of the launcher, which leads the group.
    child
        Whether this process started it (and so learns its exit code).
    grace
        Seconds between SIGTERM and SIGKILL.
    on_exit
        Called once, with the wait status as an exit code (None if it cannot be known), when no process of the group is
        left.
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
        if self._reap() if self._child else not is_alive(self.pid):
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
            self._exit_code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
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


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable at the process' end; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, Python 3.8, or the process is gone already
        return None


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and more than a zombie."""
    state = _state(pid)
    return state is not None and state not in "ZX"


def is_launcher(pid: int, files: TrialFiles) -> bool:
    """Tell whether a process is this trial's launcher; a process id alone may have been given to a stranger."""
    if not is_alive(pid):
        return False
    if not _PROC.is_dir():
        return str(files.script) in _ps(pid, "command")
    command = _read(_PROC / str(pid) / "cmdline").split(b"\0")
    variable = b"NNI_SYS_DIR=" + os.fsencode(str(files.directory))
    # A command with `exec` leaves the process its number but not its command line; the exports stay.
    return os.fsencode(str(files.script)) in command or variable in _read(_PROC / str(pid) / "environ").split(b"\0")


def age(pid: int) -> float:
    """Return for how many seconds a process has been running; 0 when it is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
        ticks = int(text.rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def _group_lives(group: int) -> bool:
    """Tell whether a process group has a member that is more than a zombie.

    An orphan's zombie stays where nobody reaps it, as under the first process of many containers.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(is_alive(pid) for pid in _pids() if group_of(pid) == group)


def _pids() -> Iterator[int]:
    if _PROC.is_dir():
        yield from (int(name) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208  (names are all it needs)
    else:
        yield from map(int, subprocess.run(["ps", "-axo", "pid="], capture_output=True, check=False).stdout.split())


def group_of(pid: int) -> int | None:
    """Return the process group of a process, None if there is no such process."""
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _state(pid: int) -> str | None:
    """Return the letter for the state of a process; None if it is gone."""
    if not _PROC.is_dir():
        return _ps(pid, "state")[:1] or None
    text = _read(_PROC / str(pid) / "stat")
    return text.rpartition(b")")[2].split()[0].decode() if text else None


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, check=False)
    return answer.stdout.decode(errors="replace").strip()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
