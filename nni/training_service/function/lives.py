"""The files of workers, by the life of the manager that had them; and which trials former lives have begun."""

from __future__ import annotations

import contextlib
import json
import mmap
import re
import time
from dataclasses import dataclass
from pathlib import Path

from nni.common.errors import NniError
from nni.trial.function_files import Claims, living_worker, start_mark
from nni.trial_runner.script import TrialFiles

_SEQUENCE = re.compile(rb'"type":"START","sequence_id":(\d+)')
_PATIENCE = 10.0  # seconds for a worker that is in the middle of a claim, which takes microseconds


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """Paths of one worker."""

    life: Path
    name: str

    @property
    def spool(self) -> Path:
        """What its trials reported, and how they began and ended."""
        return self.life / f"{self.name}.spool"

    @property
    def control(self) -> Path:
        """Whether it lives, who it is, and whether its trial is to end."""
        return self.life / f"{self.name}.control"

    @property
    def stdout(self) -> Path:
        """What it printed outside of trials, or in one whose directory it has not made yet."""
        return self.life / f"{self.name}.stdout"

    @property
    def stderr(self) -> Path:
        """The same of its standard error; also where Python writes when it crashes."""
        return self.life / f"{self.name}.stderr"


@dataclass(frozen=True, slots=True)
class Start:
    """A trial that a worker of a former life has begun."""

    worker: WorkerFiles
    position: int
    wall: int
    steady: float

    @property
    def pid(self) -> int | None:
        """The worker's process id; None if it has ended."""
        return living_worker(self.worker.control)

    @property
    def age(self) -> float:
        """For how many seconds the trial has been running; 0 when its worker has ended."""
        return 0.0 if self.pid is None else max(0.0, time.monotonic() - self.steady)


class Lives:
    """The folder ``workers``.

    Creating it ends all former lives: from then on none of their workers begins another trial.

    Raises
    ------
    NniError
        A worker of a former life is stuck in the middle of beginning a trial.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        former = sorted((path for path in root.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        for life in former:
            _close(life)
        self.present = root / str(int(former[-1].name) + 1 if former else 1)
        self.present.mkdir()
        self._spools = [spool for life in former for spool in sorted(life.glob("*.spool")) if spool.stat().st_size]
        self._highest: int | None = None

    def find(self, trial_id: str, sequence: int | None = None) -> Start | None:
        """Return where a former life has begun a trial; `sequence`, its number, spares most searches."""
        if not self._spools or (sequence is not None and sequence > self._highest_begun()):
            return None
        mark = start_mark(trial_id)
        for spool in self._spools:
            if (found := _find(spool, mark)) is not None:
                return found
        return None

    def _highest_begun(self) -> int:
        if self._highest is None:
            self._highest = max((_highest(spool) for spool in self._spools), default=-1)
        return self._highest


def last_words(worker: WorkerFiles, directory: str) -> str:
    """Return the last line of the standard error of a trial whose worker died; what it wrote is put where it belongs.

    Parameters
    ----------
    worker
        The worker.
    directory
        The trial's, which need not exist.
    """
    logs = TrialFiles(Path(directory))
    with contextlib.suppress(OSError):
        for source, target in ((worker.stdout, logs.log), (worker.stderr, logs.stderr)):
            if source.stat().st_size:
                target.parent.mkdir(exist_ok=True)
                with target.open("ab") as file:
                    file.write(source.read_bytes())
    return logs.last_complaint()


def _close(life: Path) -> None:
    claims = Claims(life)
    deadline = time.monotonic() + _PATIENCE
    while not claims.close():
        if time.monotonic() > deadline:
            raise NniError(f"{life}: a worker of the former manager hangs while it begins a trial; nnictl stop ends it")
        time.sleep(0.01)


def _highest(spool: Path) -> int:
    with spool.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return max((int(match[1]) for match in _SEQUENCE.finditer(text)), default=-1)


def _find(spool: Path, mark: bytes) -> Start | None:
    with spool.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        position = 0 if text[: len(mark)] == mark else text.rfind(b"\n" + mark) + 1
        if position == 0 and text[: len(mark)] != mark:
            return None
        end = text.find(b"\n", position)
        if end < 0:
            return None
        record = json.loads(text[position:end])
    return Start(WorkerFiles(spool.parent, spool.stem), position, record["timestamp"], record["steady"])
