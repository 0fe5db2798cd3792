"""Where a Python function and its workers keep their files: the one place that both sides of the channel know.

``function/`` in the experiment's directory holds the function, ``constraints/`` those that are constraints.
``workers/<life>/`` belongs to one life of a manager; in it, ``<worker>.spool`` is what the trials of a worker
reported, ``<worker>.control`` says who the worker is and whether its trial shall end, and ``claims`` stops every
worker of that life from beginning another trial.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FUNCTION = "function.pkl"
ABOUT = "function.json"
CLAIMS = "claims"
LOADING = "NNI_LOADING_FUNCTION"
"""In a worker's environment while it loads the function: a module that starts an experiment then would never end."""
_CLOSED = b"closed\n"


def start_record(trial_id: str, sequence: int, wall: int, steady: float) -> str:
    """Return the record that makes a trial a worker's own; `wall` in epoch milliseconds, `steady` in seconds."""
    return (
        f'{{"trial_job_id":"{trial_id}","type":"START","sequence_id":{sequence},"timestamp":{wall},"steady":{steady}}}'
    )


def end_record(trial_id: str, code: int, wall: int, message: str, *, leaving: bool) -> str:
    """Return the record of a trial's end; `leaving` if the worker ends with it."""
    return json.dumps(
        {
            "trial_job_id": trial_id,
            "type": "END",
            "exit_code": code,
            "timestamp": wall,
            "message": message,
            "leaving": leaving,
        },
        separators=(",", ":"),
    )


def start_mark(trial_id: str) -> bytes:
    """Return how the start record of a trial begins."""
    return f'{{"trial_job_id":"{trial_id}","type":"START"'.encode()


_PREFIX = b'{"trial_job_id":"'
_KIND = b'","type":"'


def split(line: bytes) -> tuple[str, bytes]:
    """Return trial id and type of a record, which stand first in it; two empty ones for what is no record."""
    end = line.find(b'"', len(_PREFIX))
    if not line.startswith(_PREFIX) or not line.startswith(_KIND, end):
        return "", b""
    kind = end + len(_KIND)
    return line[len(_PREFIX) : end].decode(errors="replace"), line[kind : line.find(b'"', kind)]


def read_about(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is known of the function in `directory`; raises ``OSError`` or ``ValueError`` where it is not."""
    with open(os.path.join(directory, ABOUT), encoding="utf-8") as file:
        about: dict[str, Any] = json.load(file)
    return about


def constraint_file(which: int | str) -> str:
    """Return where in the experiment's directory the function of a constraint is, or another file beside it."""
    return f"constraints/{which if isinstance(which, str) else f'{which}.pkl'}"


class UnsafeFunctionError(Exception):
    """The file of the function could have been written by somebody else."""


def read_function(path: str | os.PathLike[str]) -> Callable[[Any], Any]:
    """Return the function that the user's own process stored.

    Raises
    ------
    UnsafeFunctionError
        Somebody else could have written the file.
    """
    import pickle  # noqa: PLC0415  (the manager reads no function)

    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnsafeFunctionError(f"{path} is not this user's alone, so nothing is loaded from it")
        function: Callable[[Any], Any] = pickle.load(file)  # noqa: S301  (only what this user's process wrote)
    return function


class Claims:
    """The right of a worker to begin trials, which ends with the life of its manager.

    A worker writes its start record under a shared lock; the next manager closes the life under an exclusive one, and
    only then looks which trials were started. So no order that is still on its way can start a trial a second time.
    """

    def __init__(self, life: str | os.PathLike[str]) -> None:
        self._file = os.open(os.path.join(life, CLAIMS), os.O_RDWR | os.O_CREAT, 0o600)

    def claim(self, spool: Any, record: str) -> bool:
        """Write a start record; False if this life is over."""
        fcntl.flock(self._file, fcntl.LOCK_SH)
        try:
            if os.fstat(self._file).st_size:
                return False
            spool.claim(record)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return True

    def close(self) -> bool:
        """End this life; False while a worker is in the middle of a claim."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not os.fstat(self._file).st_size:
            os.write(self._file, _CLOSED)
        os.close(self._file)  # which unlocks
        return True


class WorkerControl:
    """The worker's end of its control file: a lock that tells that it lives, and a byte that tells it to stop.

    The lock is one of the process (not of the open file), so that it ends with the worker although its trials' own
    processes may outlive it.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self._file, b"\0%d\n" % os.getpid(), 0)
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        self._shared = mmap.mmap(self._file, 1)

    def is_stopped(self) -> bool:
        """Whether the present trial is to end."""
        return self._shared[0] != 0


def ask_to_stop(path: str | os.PathLike[str], *, stop: bool = True) -> None:
    """Tell the worker of a control file to end its trial at the next report, or take that back."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(file, b"\1" if stop else b"\0", 0)
    finally:
        os.close(file)


def living_worker(path: str | os.PathLike[str]) -> int | None:
    """Return the process id of the worker of a control file; None if it has ended."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return int(os.pread(file, 32, 1))
    finally:
        os.close(file)
    return None
