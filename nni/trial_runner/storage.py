"""The shared storage of an experiment, on the machine where trials run (PLT-318 … 323).

Everything of an experiment is below ``nni/<experiment>`` there: ``trials/<trial>`` is the directory in which a trial
runs, ``trials/<trial>/nnioutput`` what it leaves. What the runner itself relies on (claims, results, logs of running
trials) stays on this machine's disk: a server that is away holds up trials, but never the runner.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from nni.trial_runner.mount_programs import MountError, source
from nni.trial_runner.mounts import Mount, mounted_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nni.trial_runner.protocol import Storage
    from nni.trial_runner.script import TrialFiles

MARK = ".nni-storage"
"""A file in the experiment's directory by which a machine knows that it sees the same storage as the manager."""

_SEEN = 5.0  # seconds until what one machine wrote is seen by another one


def experiment_directory(mount: Path, experiment: str) -> Path:
    """Return where everything of an experiment is (PLT-319)."""
    return mount / "nni" / experiment


def code_directory(experiment: Path, digest: str) -> Path:
    """Return where the code directory with this digest is."""
    return experiment / "code" / digest[:16]


class RunnerStorage:
    """The storage as this machine sees it.

    Parameters
    ----------
    told
        What the manager says of it.
    experiment
        Its id.
    root
        The runner's own directory.
    """

    def __init__(self, told: Storage, experiment: str, root: Path) -> None:
        self._told = told
        self._point = Path.home() / Path(told.mount_point).expanduser()
        self._mount = Mount(source(told.kind, told.source), self._point)
        self._root = root
        self._problem = ""
        self.directory = experiment_directory(self._point, experiment)

    def trial(self, identifier: str) -> Path:
        """Return the directory in which a trial runs."""
        return self.directory / "trials" / identifier

    def open(self) -> None:
        """
        Mount it, if it is not there already, and make sure that it is the right one.

        Raises
        ------
        MountError
            See there.
        """
        own = self._root.parent.parent
        if own == self._point or own in self._point.parents:  # what is below is removed in the end
            raise MountError(f"{self._point} cannot be the mount point: NNI's own files are there", is_final=True)
        # A directory somewhere inside of what is mounted is as good as a mount point, and nothing is to be done for it.
        is_mounted = mounted_at(self._point) is not None
        if is_mounted or not self._has_token():
            if not is_mounted and self._point in own.parents:
                raise MountError(f"{self._point} cannot be the mount point: it would hide {own}", is_final=True)
            self._mount.open()
        try:
            self._recognize()
            self._check_writable()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unmount it, if NNI mounted it here."""
        self._mount.close()

    def _recognize(self) -> None:
        if not self._told.is_marked and not (self.directory / MARK).exists():
            self._write_token()
        deadline = time.monotonic() + _SEEN
        while not self._has_token():
            if time.monotonic() > deadline:
                found = f"the mark of the experiment is not in {self.directory} ({self._problem or 'another one is'})"
                raise MountError(f"{self._point} is another storage than the manager's: {found}", is_final=True)
            time.sleep(0.2)

    def _write_token(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / MARK).write_text(self._told.token)
        except OSError as error:
            raise self._unwritable(error) from error

    def _has_token(self) -> bool:
        try:
            return (self.directory / MARK).read_text() == self._told.token
        except OSError as error:
            self._problem = error.strerror or str(error)
            return False

    def _check_writable(self) -> None:
        try:
            (self.directory / "trials").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        if not os.access(self.directory / "trials", os.W_OK):
            raise self._unwritable(PermissionError(13, "Permission denied"))

    def _unwritable(self, error: OSError) -> MountError:
        return MountError(f"{self._point} cannot be written: {error.strerror or error}", is_final=True)


def keep_logs(files: TrialFiles, place: Path) -> None:
    """Put a trial's logs into its directory on the storage; a file of the code directory stays what it is."""
    for path in (files.log, files.stderr):
        target = place / path.name
        new = place / f".{path.name}.nni-part"
        with contextlib.suppress(FileNotFoundError):  # a trial that never started has neither log nor directory
            if not target.exists():
                shutil.copyfile(path, new)
                new.replace(target)
