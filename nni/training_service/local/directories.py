"""The directories of trials: made, filled, and moved out of the way of another trial."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from itertools import count
from typing import TYPE_CHECKING

from nni.training_service.local.process import is_launcher
from nni.trial_runner.script import PARAMETERS, SCRIPT, Launchers, TrialFiles

if TYPE_CHECKING:
    from pathlib import Path

    from nni.training_service.base import TrialForm

_logger = logging.getLogger(__name__)


class TrialDirectories:
    """Where each trial has its files, and what is written there before it starts.

    Parameters
    ----------
    directory
        The folder of all trials.
    command, code_directory
        What each trial runs, and where.
    environment
        The variables that are the same for every trial.
    """

    def __init__(self, directory: Path, command: str, code_directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._common = environment
        self._launchers = Launchers(command, code_directory, environment)
        self._prepared: str | None = None

    def files(self, trial_id: str) -> TrialFiles:
        """Return the paths of a trial."""
        return TrialFiles(self._directory / trial_id)

    def create(self, files: TrialFiles, form: TrialForm) -> bool:
        """Make a trial's directory; return whether it is new, so that nobody can have left anything in it."""
        if _make(files.directory):
            return True
        if files.claim.exists() and _is_of_another(files, form):
            _set_aside(files)
            return _make(files.directory)
        return False

    def write(self, files: TrialFiles, form: TrialForm, extra: dict[str, str], *, new: bool) -> None:
        """Write parameters and launcher.

        In a directory that is not `new` the files appear whole: the launcher of a manager that was killed a moment
        ago may be reading them.
        """
        put = _write if new else _replace
        with contextlib.suppress(FileExistsError):
            os.mkdir(files.text(".nni"))  # noqa: PTH102  (the path is text)
        put(files.text(PARAMETERS), form.parameters)
        put(files.text(SCRIPT), self._launchers.render(files, {**self._own(files, form), **extra}))

    def prepare(self, form: TrialForm) -> None:
        """Make and fill the directory of a trial that comes soon."""
        files = self.files(form.id)
        with contextlib.suppress(OSError, ValueError):
            if _make(files.directory):
                self.write(files, form, {}, new=True)
                self._prepared = form.id

    def take(self, form: TrialForm) -> bool:
        """Return whether a trial that starts now was prepared."""
        is_prepared = form.id == self._prepared
        if is_prepared:
            self._prepared = None
        return is_prepared

    def drop_prepared(self) -> None:
        """Remove the directory of a trial that was prepared and did not come."""
        if self._prepared is not None:
            shutil.rmtree(self._directory / self._prepared, ignore_errors=True)
            self._prepared = None

    def environment(self, files: TrialFiles, form: TrialForm) -> dict[str, str]:
        """Return the variables that a trial gets (PLT-167 … PLT-173)."""
        return {**self._common, **self._own(files, form)}

    def _own(self, files: TrialFiles, form: TrialForm) -> dict[str, str]:
        directory = str(files.directory)
        return {
            "NNI_SYS_DIR": directory,
            "NNI_TRIAL_JOB_ID": form.id,
            "NNI_OUTPUT_DIR": directory,
            "NNI_TRIAL_SEQ_ID": str(form.sequence_id),
        }


def _make(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _replace(path: str, text: str) -> None:
    new = f"{path}.new"
    _write(new, text)
    os.replace(new, path)  # noqa: PTH105  (the path is text)


def _write(path: str, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


def _is_of_another(files: TrialFiles, form: TrialForm) -> bool:
    """Whether a trial directory belongs to a trial that the experiment's database does not know any more."""
    try:
        return files.parameters.read_bytes() != form.parameters.encode()
    except OSError:
        return True


def _set_aside(files: TrialFiles) -> None:
    """Make room: after a power cut, or with a database from a copy, the same number is given a second time."""
    pid = files.read_claim()
    if pid is not None and is_launcher(pid, files):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    names = (files.directory.with_name(f"{files.directory.name}.lost-{number}") for number in count(1))
    place = next(name for name in names if not name.exists())
    _logger.warning("%s belongs to a trial that the database does not know: moved to %s", files.directory, place.name)
    files.directory.rename(place)
