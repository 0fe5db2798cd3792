"""One trial of the pool: what is known of it, and its directory on the manager's side."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from nni.common.run_key import key_of
from nni.store import TrialStatus
from nni.training_service.base import TrialForm, TrialJobDetail
from nni.training_service.pool.link import RunnerLink
from nni.training_service.pool.machine import PooledMachine
from nni.trial_runner.protocol import File, Text
from nni.trial_runner.script import TrialFiles
from nni.trial_runner.trial import OUTPUT


class LocalCopy:
    """The files of a trial on the manager's side: logs as they come, its place, and what it left.

    Parameters
    ----------
    files
        The trial's directory here.
    """

    def __init__(self, files: TrialFiles) -> None:
        self.files = files
        self._open: dict[str, int] = {}

    def create(self, form: TrialForm) -> None:
        """Make the directory."""
        (self.files.directory / ".nni").mkdir(parents=True, exist_ok=True)
        self.files.parameters.write_bytes(form.parameters.encode("utf-8", "surrogateescape"))

    @property
    def places(self) -> list[str]:
        """The names of the sites where the trial's runs were placed, the last one's last.

        Written down before a run is started. Nothing stands for a run that has no place yet, or of which nothing is
        left there.
        """
        with contextlib.suppress(OSError):
            return self._place_file.read_text().split("\n")
        return [""]

    @property
    def place(self) -> str | None:
        """Where the present run was placed."""
        return self.places[-1] or None

    @place.setter
    def place(self, name: str) -> None:
        self._write_places([*self.places[:-1], name])

    @property
    def run(self) -> int:
        """The number of the present run, from 1."""
        return len(self.places)

    def begin_run(self, run: int) -> None:
        """Take note that the trial begins anew, and put the logs of the run before aside."""
        places = self.places
        self.close()
        aside = self.files.directory / f"run-{len(places)}"
        for path in (self.files.log, self.files.stderr):
            if path.exists():
                aside.mkdir(exist_ok=True)
                path.replace(aside / path.name)
        self.files.gpus.unlink(missing_ok=True)
        self._write_places([*places, *[""] * (run - len(places))])

    def forget_place(self, run: int) -> None:
        """Take note that nothing of a run is there any more."""
        places = self.places
        if run > len(places):
            return
        places[run - 1] = ""
        with contextlib.suppress(OSError):
            if any(places) or run < len(places):
                self._write_places(places)
            else:
                self._place_file.unlink()

    def _write_places(self, places: list[str]) -> None:
        new = self._place_file.with_suffix(".new")
        new.write_text("\n".join(places))
        new.replace(self._place_file)

    @property
    def _place_file(self) -> Path:
        return self.files.directory / ".nni" / "place"

    def size(self, name: str) -> int:
        """Return how much of a log is here."""
        try:
            return (self.files.directory / name).stat().st_size
        except OSError:
            return 0

    def add_text(self, text: Text) -> None:
        """Write a piece of a log to its place."""
        if text.name not in {"trial.log", "stderr"}:
            return
        file = self._open.get(text.name)
        if file is None:
            path = self.files.directory / text.name
            file = self._open[text.name] = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        data, place = text.payload, text.place
        while data:
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written

    def add_file(self, piece: File) -> None:
        """Write a piece of a file of the output directory; it gets its name when it is whole."""
        parts = piece.path.split("/")
        if piece.path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
            raise OSError(f"not a path inside of an output directory: {piece.path!r}")
        path = (self.files.directory / OUTPUT).joinpath(*parts)
        part = path.with_name(f"{path.name[:200]}.nni-part")
        if piece.place == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if piece.place else "wb") as file:
            file.seek(piece.place)
            file.write(piece.payload)
        if piece.is_last:
            part.chmod(piece.mode | 0o600)
            part.replace(path)

    def close(self) -> None:
        """Free the files."""
        for file in self._open.values():
            os.close(file)
        self._open.clear()


@dataclass
class Job:
    """A run of a trial that has not been forgotten.

    Attributes
    ----------
    offset
        The place up to which its metrics were handed over.
    is_new
        Whether it is not known to have been started.
    machine, link
        Where it was placed; None while it waits.
    canceled
        What it ends as, because somebody wanted it to end.
    is_committed
        Whether its end is on the manager's disk.
    is_fetching
        Whether its output directory is still to come.
    run
        From 1; the next one begins when a machine was lost.
    """

    detail: TrialJobDetail
    copy: LocalCopy
    offset: int = 0
    is_new: bool = True
    machine: PooledMachine | None = None
    link: RunnerLink | None = None
    canceled: TrialStatus | None = None
    is_committed: bool = False
    is_fetching: bool = False
    run: int = 1

    @property
    def id(self) -> str:
        """The trial's id."""
        return self.detail.id

    @property
    def key(self) -> str:
        """The name under which its runner knows it."""
        return key_of(self.id, self.run)


def where(job: Job) -> str:
    """Return where a trial runs, and if that was not the first place, which one was lost."""
    assert job.link is not None
    if job.run == 1:
        return f"on {job.link.name}"
    return f"on {job.link.name} (run {job.run}: the one before was lost with its machine)"


def failure(code: int, complaint: str, place: str) -> str:
    """Return why a trial failed, for a person."""
    how = f"ended by signal {code - 128} (exit code {code})" if code > 128 else f"exit code {code}"
    return f"{place}: {how}: {complaint}" if complaint else f"{place}: {how}"
