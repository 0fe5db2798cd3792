"""One trial on this machine: its directory, its start, and its end, all of them on the disk before they are told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from nni.trial_runner.patience import in_time
from nni.trial_runner.process import TrialProcess, age, is_launcher, spawn
from nni.trial_runner.script import CLAIM_TAKEN, CLAIM_UNWRITTEN, TrialFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from nni.trial_runner.code_store import CodeStore
    from nni.trial_runner.protocol import Start

_SHUTDOWN = {128 + signal.SIGHUP, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
_LAST_MOMENT = 0.5  # seconds
_PREPARE = 300.0  # seconds for a code directory to be copied

CODE, OUTPUT = "code", "nnioutput"
"""The trial's own copy of the code directory, and its output directory (PLT-168, 179, 319)."""


class RunnerTrial:
    """A trial that this runner started, or found.

    Parameters
    ----------
    directory
        Its directory.
    grace
        Seconds between SIGTERM and SIGKILL.
    on_change
        Called when it runs, when it was refused, and when it has ended.
    """

    def __init__(self, directory: Path, grace: float, on_change: Callable[[RunnerTrial], None]) -> None:
        self.id = directory.name
        self.files = TrialFiles(directory)
        self.started: int | None = None
        """When it started (epoch ms); None while it does not run and has not ended."""
        self.end: tuple[int | None, int] | None = None
        """Exit code, None if it cannot be known, and time (epoch ms)."""
        self.refusal: OSError | None = None
        """Why it could not be started; it may be tried again."""
        self._grace = grace
        self._on_change = on_change
        self._process: TrialProcess | None = None
        self._is_stopped = False
        self._is_starting = False

    @property
    def group(self) -> int | None:
        """Its process group while it runs."""
        return self._process.pid if self._process is not None and self.end is None else None

    @property
    def is_busy(self) -> bool:
        """Whether it is starting or running."""
        return self.end is None and (self._is_starting or self._process is not None)

    def find(self) -> bool:
        """Take over what an earlier runner left of it; returns whether it was ever started."""
        if self.started is not None or self.end is not None:
            return True
        with contextlib.suppress(OSError, ValueError):
            code, _, moment = self._ended_file.read_text().partition(" ")
            self.end = (None if code == "-" else int(code), int(moment))
            return True
        pid = self.files.read_claim()
        if pid is None:
            return False
        if is_launcher(pid, self.files):
            self._watch(pid, child=False)
        elif self._is_ended_from_outside(None):
            self._ended(None, is_known=False)  # with the runner before: by whoever shut the machine down, or the job
        else:
            self._ended(None)
        return True

    async def start(self, start: Start, store: CodeStore, place: Path | None = None) -> None:
        """Start it, if it was never started; after that, `find` is true whatever happens to this process.

        Parameters
        ----------
        start
            What to start.
        store
            Where the code directory is.
        place
            Its directory on a shared storage, in which it runs and has its output; None: all is in its own directory.
        """
        if self._is_starting or self.find():
            return
        if not start.is_new:
            self._ended(None)
            return
        self.refusal, self._is_starting = None, True
        try:
            await in_time(_PREPARE, "the shared storage", self._prepare, start, store, place)
            if self._is_stopped:
                self._ended(None)
            else:
                self._watch(spawn(self.files), child=True)
        except (OSError, shutil.Error) as error:
            self.refusal = error if isinstance(error, OSError) else OSError(str(error))
            self._on_change(self)
        finally:
            self._is_starting = False

    def stop(self) -> None:
        """SIGTERM, after the grace SIGKILL; one that has not started yet never does."""
        self._is_stopped = True
        if self._process is not None and self.end is None:
            self._process.stop()
        elif not self._is_starting and not self.find():
            self._ended(None)
        elif self._process is not None and self.end is None:  # just found
            self._process.stop()

    def remove(self) -> None:
        """Remove everything of it from the disk."""
        shutil.rmtree(self.files.directory, ignore_errors=True)

    def output_files(self) -> list[Path]:
        """Return the files in its output directory, links left out."""
        found = []
        for folder, _, names in os.walk(self.files.directory / OUTPUT):
            found += [path for path in (Path(folder, name) for name in names) if path.is_file()]
        return [path for path in found if not path.is_symlink()]

    @property
    def _ended_file(self) -> Path:
        return self.files.directory / ".nni" / "ended"

    def _prepare(self, start: Start, store: CodeStore, place: Path | None) -> None:
        directory = self.files.directory
        (directory / ".nni").mkdir(parents=True, exist_ok=True)
        if place is None:
            (directory / OUTPUT).mkdir(exist_ok=True)
            store.copy(start.code, directory / CODE)
        else:  # the working directory is the trial's own one there (PLT-319)
            (place / OUTPUT).mkdir(parents=True, exist_ok=True)
            store.copy(start.code, place)
            if not (place / "parameter.cfg").exists():
                (place / "parameter.cfg").write_bytes(start.parameters.encode("utf-8", "surrogateescape"))
        for path, text in ((self.files.parameters, start.parameters), (self.files.script, start.script)):
            new = path.with_name(f"{path.name}.new")
            new.write_bytes(text.encode("utf-8", "surrogateescape"))
            new.replace(path)  # whole at once: an earlier runner's launcher may be reading it

    def _watch(self, pid: int, *, child: bool) -> None:
        self.started = _now() - int(1000 * (0 if child else age(pid)))

        def on_exit(code: int | None) -> None:
            if child and code == CLAIM_TAKEN and self.files.read_claim() not in {pid, None}:
                self._process, self.started = None, None
                self.find()  # an earlier runner had started it a moment before it was killed
            elif child and code == CLAIM_UNWRITTEN and not self.files.claim.exists():
                self._process, self.started = None, None
                self.refusal = OSError("no space left to record its process id")
                self._on_change(self)
            elif self._is_ended_from_outside(code):  # maybe by who ends this runner, too, in a moment
                asyncio.get_running_loop().call_later(_LAST_MOMENT, self._ended, code)
            else:
                self._ended(code)

        self._process = TrialProcess(pid, child=child, grace=self._grace, on_exit=on_exit)
        self._on_change(self)
        if self._is_stopped:
            self._process.stop()

    def _is_ended_from_outside(self, code: int | None) -> bool:
        """Return whether a signal ended it that this runner did not send."""
        state = self.files.read_state()
        found = state[0] if state is not None else 128 - (code or 0)
        return found in _SHUTDOWN and not self._is_stopped

    def _ended(self, code: int | None, *, is_known: bool = True) -> None:
        found = code if code is None or code >= 0 else 128 - code
        state = self.files.read_state() if is_known else None
        self.end = state or (found, _now())
        text = f"{'-' if self.end[0] is None else self.end[0]} {self.end[1]}"
        with contextlib.suppress(OSError):  # then the next runner cannot tell more than that it ended
            self._ended_file.parent.mkdir(parents=True, exist_ok=True)
            self._ended_file.write_text(text)
        shutil.rmtree(self.files.directory / CODE, ignore_errors=True)
        self._on_change(self)


def _now() -> int:
    return time.time_ns() // 1_000_000
