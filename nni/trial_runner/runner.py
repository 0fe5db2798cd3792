"""The process that runs trials on this machine. It outlives its connections, and the manager."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import platform
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from nni.trial_runner import protocol as p
from nni.trial_runner.code_store import CodeStore, cache_directory
from nni.trial_runner.connection import Connection
from nni.trial_runner.doorbell import Doorbell
from nni.trial_runner.log_watch import LogLimit, LogWatch
from nni.trial_runner.machine import look, nni_version
from nni.trial_runner.mount_programs import MountError
from nni.trial_runner.patience import in_time
from nni.trial_runner.storage import RunnerStorage, code_directory, keep_logs
from nni.trial_runner.trial import RunnerTrial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from nni.trial_runner.script import TrialFiles

SOCKET, LOCK, LOG, DOORBELL = "runner.sock", "runner.lock", "runner.log", ".doorbell"
_LOG_LOOK = 0.5  # seconds between looks at the logs of running trials, while somebody wants to hear of them
_SWEEP = 5.0  # seconds between looks at everything, for rings that got lost; only while trials run
_STORAGE = 150.0  # seconds for a shared storage to be mounted, unmounted, or read: longer than its programs may take
_LOGS = 30.0  # seconds for a trial's logs to be copied to it
_FORGOTTEN = 3600.0  # seconds without a manager and without a running trial after which the process ends


class Runner:
    """Runs trials in a directory, and tells the manager of them when there is one.

    Parameters
    ----------
    root
        The runner's directory on this machine.
    leash
        A descriptor whose end of file says that what gave this machine has taken it back; None: nothing does.
    """

    def __init__(self, root: Path, leash: int | None = None) -> None:
        self._root = root
        self._leash = leash
        self._store = CodeStore(cache_directory() / "code", root / "code")
        self._trials: dict[str, RunnerTrial] = {}
        self._grace = 10.0
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()
        self._quitting = False
        self._is_evicted = False
        self._forgotten: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._limit: LogLimit | None = None
        self._forgotten_trials: set[str] = set()
        self._experiment = ""
        self._storage: RunnerStorage | None = None
        self._leaving: set[RunnerTrial] = set()

    async def run(self) -> None:
        """Serve until the manager says that the experiment is over."""
        loop = asyncio.get_running_loop()
        (self._root / "trials").mkdir(exist_ok=True)
        for directory in sorted((self._root / "trials").iterdir()):
            self._trial(directory.name).find()
        doorbell = Doorbell(self._root / DOORBELL, self._rung)
        doorbell.start()
        # A path relative to the working directory: an absolute one may be too long for a socket.
        server = await asyncio.start_unix_server(self._connected, SOCKET, limit=4 * p.PIECE)
        loop.run_in_executor(None, self._store.trim)
        self._expect_manager()
        if self._leash is not None:
            loop.add_reader(self._leash, self._evict, self._leash)
        await self._finished.wait()
        server.close()
        doorbell.close()
        if self._quitting:  # before the connection ends, which tells the manager that it is done
            await self._leave_storage()
            await loop.run_in_executor(None, _remove, self._root)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self._handle)
        try:
            await connection.run()
        except p.ProtocolError as error:
            _say(f"the connection is of no use: {error}")
        except OSError as error:
            _say(f"the connection is lost: {error}")
        finally:
            if self._connection is connection:
                self._connection = None
                self._expect_manager()

    def _expect_manager(self) -> None:
        if self._forgotten is not None:
            self._forgotten.cancel()
        self._forgotten = asyncio.get_running_loop().call_later(_FORGOTTEN, self._end_if_forgotten)

    def _end_if_forgotten(self) -> None:
        """End, but leave the files: a manager that comes back starts another runner, which finds them."""
        if self._connection is None and not any(trial.is_busy for trial in self._trials.values()):
            self._finished.set()
        else:
            self._expect_manager()

    def _evict(self, leash: int) -> None:
        """End all trials and then this process, but leave the files: another runner may find them here."""
        asyncio.get_running_loop().remove_reader(leash)
        _say("what gave this machine has taken it back")
        self._is_evicted = True
        for trial in self._trials.values():
            if trial.end is None:
                trial.stop()
        self._end_if_done()

    # Messages of the manager

    async def _handle(self, message: p.Message, connection: Connection) -> None:
        if isinstance(message, p.Greeting):
            self._greet(message, connection)
        elif connection is not self._connection:
            connection.close()  # another one took over
        elif isinstance(message, p.Start):
            self._start(message, connection)
        elif isinstance(message, p.Stop):
            self._trial(message.trial).stop()
        elif isinstance(message, p.Forget):
            self._forget(message.trial, connection)
        elif isinstance(message, p.Fetch):
            connection.fetch(self._trial(message.trial))
        elif isinstance(message, (p.Storage, p.Code, p.Blob)):
            await self._take_code(message, connection)
        elif isinstance(message, p.Look):
            self._spawn(self._look(connection))
        elif isinstance(message, p.Quit):
            self._spawn(self._quit())

    def _greet(self, greeting: p.Greeting, connection: Connection) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self._grace = greeting.grace
        if greeting.log_limit is not None:
            self._limit = LogLimit(greeting.log_limit, greeting.log_setting)
        self._experiment = greeting.experiment
        _say(f"experiment {greeting.experiment}: the manager is connected")
        python = platform.python_version()
        now = time.time_ns() // 1_000_000
        known = [trial.id for trial in self._trials.values() if trial.started is not None or trial.end is not None]
        connection.send(
            p.Hello(p.VERSION, str(self._root), socket.gethostname(), os.getpid(), python, nni_version(), now, known)
        )
        self._spawn(self._look(connection))

    def _busy_files(self) -> list[TrialFiles]:
        return [trial.files for trial in self._trials.values() if trial.is_busy]

    async def _take_code(self, message: p.Message, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            if isinstance(message, p.Storage):
                await self._open_storage(message, connection)
            elif isinstance(message, p.Blob):
                await loop.run_in_executor(None, self._store.take, message)
            elif isinstance(message, p.Code):
                if self._storage is not None:
                    copy = code_directory(self._storage.directory, message.digest)
                    await in_time(_STORAGE, "the shared storage", self._store.fill, message, copy)
                missing = await loop.run_in_executor(None, self._store.missing, message)
                connection.send(p.Missing(message.digest, missing))
        except OSError as error:
            connection.send(p.Fault(f"the code directory cannot be stored: {error.strerror or error}"))

    def _start(self, start: p.Start, connection: Connection) -> None:
        if self._is_evicted:
            return
        trial = self._trial(start.trial)
        connection.watch(trial, start)
        self._spawn(trial.start(start, self._store, self._place(trial)))

    def _forget(self, identifier: str, connection: Connection) -> None:
        connection.forget(identifier)
        self._forgotten_trials.add(identifier)
        self._remove_forgotten(identifier)

    def _remove_forgotten(self, identifier: str) -> None:
        """Remove a trial that the manager is done with, once it has ended."""
        trial = self._trials.get(identifier)
        if identifier in self._forgotten_trials and (trial is None or trial.end is not None):
            self._forgotten_trials.discard(identifier)
            if trial is not None:
                del self._trials[identifier]
                self._leaving.add(trial)
                self._spawn(self._leave(trial))

    async def _leave(self, trial: RunnerTrial) -> None:
        await self._keep_logs(trial)
        await asyncio.get_running_loop().run_in_executor(None, trial.remove)
        self._leaving.discard(trial)

    # The shared storage

    async def _open_storage(self, told: p.Storage, connection: Connection) -> None:
        storage = self._storage or RunnerStorage(told, self._experiment, self._root)
        try:
            await in_time(_STORAGE, f"the storage at {told.mount_point}", storage.open)
        except MountError as error:
            connection.send(p.Unmountable(str(error), error.is_final))
        except OSError as error:
            connection.send(p.Unmountable(f"the storage cannot be had: {error.strerror or error}", is_final=False))
        else:
            self._storage = storage
            connection.send(p.Stored(str(storage.directory)))

    def _place(self, trial: RunnerTrial) -> Path | None:
        return None if self._storage is None else self._storage.trial(trial.id)

    async def _keep_logs(self, trial: RunnerTrial) -> bool:
        place = self._place(trial)
        if place is not None:
            try:
                await in_time(_LOGS, "the shared storage", keep_logs, trial.files, place)
            except OSError as error:
                _say(f"the logs of trial {trial.id} are not on the shared storage: {error.strerror or error}")
                return False
        return True

    async def _leave_storage(self) -> None:
        if self._storage is None:
            return
        for trial in (*self._leaving, *self._trials.values()):
            if not await self._keep_logs(trial):
                break
        try:
            await in_time(_STORAGE, "the shared storage", self._storage.close)
        except (MountError, OSError) as error:
            _say(str(error))

    async def _look(self, connection: Connection) -> None:
        groups = {group for group in (trial.group for trial in self._trials.values()) if group is not None}
        machine = await asyncio.get_running_loop().run_in_executor(None, look, self._root, groups)
        connection.send(machine)

    async def _quit(self) -> None:
        self._quitting = True
        for trial in self._trials.values():
            if trial.end is None:
                trial.stop()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if (self._quitting or self._is_evicted) and not any(trial.is_busy for trial in self._trials.values()):
            self._finished.set()

    # Trials

    def _trial(self, identifier: str) -> RunnerTrial:
        if identifier not in self._trials:
            if os.sep in identifier or identifier in {"", ".", ".."}:
                raise p.ProtocolError(f"not the id of a trial: {identifier!r}")
            directory = self._root / "trials" / identifier
            self._trials[identifier] = RunnerTrial(directory, self._grace, self._changed)
        return self._trials[identifier]

    def _changed(self, trial: RunnerTrial) -> None:
        if self._connection is not None:
            self._connection.mark(trial.id)
        if trial.end is None and (self._watch is None or self._watch.done()):
            self._watch = asyncio.get_running_loop().create_task(self._watch_logs())
        if trial.end is not None and trial.id in self._forgotten_trials:
            asyncio.get_running_loop().call_soon(self._remove_forgotten, trial.id)
        if self._quitting or self._is_evicted:
            asyncio.get_running_loop().call_soon(self._end_if_done)

    def _rung(self, identifiers: set[str]) -> None:
        if self._connection is None:
            return
        if not identifiers:
            self._connection.mark_all()
        for identifier in identifiers:
            self._connection.mark(identifier)
            for name in self._trials:  # a further run of a trial has a name of its own, but rings with the trial's
                if name.startswith(f"{identifier}."):
                    self._connection.mark(name)

    async def _watch_logs(self) -> None:
        """Look at the logs as long as trials run; an idle runner looks at nothing."""
        sweep = time.monotonic() + _SWEEP
        limiter = None
        while any(trial.is_busy for trial in self._trials.values()):
            if limiter is None and self._limit is not None:  # before a log fills this disk, or the connection
                limiter = asyncio.get_running_loop().create_task(LogWatch(self._limit, self._busy_files).run())
            await asyncio.sleep(_LOG_LOOK)
            if self._connection is not None:
                self._connection.mark_grown()
                if time.monotonic() > sweep:
                    self._connection.mark_all()
                    sweep = time.monotonic() + _SWEEP
        if limiter is not None:
            limiter.cancel()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def hold(root: Path) -> int:
    """
    Be the runner of a directory until standard input ends; at once over if there is one already.

    It is no child of what started it, which may be a program that kills its children when it ends, as Ray's workers do:
    then there would be nobody to end the trials.
    """
    if os.fork():
        return 0
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever that program does with its own
    return serve(root, leash=0)


def serve(root: Path, leash: int | None = None) -> int:
    """Be the runner of a directory; at once over if there is one already."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(root)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    with contextlib.suppress(FileNotFoundError):
        Path(SOCKET).unlink()
    os.umask(0o022)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_run(root, leash))
    return 0


async def _run(root: Path, leash: int | None) -> None:
    """Make the runner where its event loop is running: before Python 3.10, events belong to the loop that is then."""
    await Runner(root, leash).run()


def _remove(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    with contextlib.suppress(OSError):  # others of the same experiment may be here
        root.parent.rmdir()
        root.parent.parent.rmdir()


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()
