"""Mounts a storage on this machine and takes it away again (PLT-320, 321), with the programs that people use for it.

Several experiments may use one mount point. Each holds a lock while it does, so that the last one unmounts, and nobody
unmounts what a person has mounted. What was mounted stands in a small file of this machine, so that it is known also
to a process that comes after one that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from nni.trial_runner.mount_programs import MountError, Source, privileged, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_TURN = 60.0  # seconds to wait for another process that is mounting at the same place
_BUSY = 3  # attempts to unmount before it is done lazily: the last files are being closed


class Mount:
    """A storage at a mount point.

    Parameters
    ----------
    source
        What is mounted.
    point
        Where; made if it is not there.
    """

    def __init__(self, source: Source, point: Path) -> None:
        self.source = source
        self.point = point
        self._lock = -1

    def open(self) -> None:
        """
        Mount it, unless it is mounted already.

        Raises
        ------
        MountError
            It cannot be mounted.
        """
        if self._lock >= 0 and mounted_at(self.point) is not None:
            return
        self.leave()
        lock, is_alone = _locked(self.point)
        try:
            found = mounted_at(self.point)
            if found is not None:
                self._check(found, _note_of(lock, found))
            elif is_alone:
                self._mount(lock)
            else:
                self._refuse()
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        """Unmount it, if NNI mounted it and nobody else of NNI uses it."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # the other one will
            return
        else:
            _unmount_noted(lock)
        finally:
            os.close(lock)

    def leave(self) -> None:
        """Use it no longer, but leave it mounted: another process of the same experiment goes on with it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _mount(self, lock: int) -> None:
        note: dict[str, Any] = {"source": self.source.name, "point": str(self.point), "made": self._make_point()}
        try:
            self.source.check_point(self.point)
            note["cache"] = self.source.mount(self.point)
        except BaseException:
            _remove_made(self.point, note["made"])
            raise
        found = mounted_at(self.point)
        note["mark"] = None if found is None else _mark(found)
        _write(lock, note)

    def _refuse(self) -> None:
        raise MountError(f"{self.point} was unmounted while others use it", is_final=False)

    def _make_point(self) -> str | None:
        """Make the directory; returns the topmost one that was not there, None if all were."""
        point = self.point
        missing = [path for path in (point, *point.parents) if not path.exists()]
        try:
            point.mkdir(parents=True, exist_ok=True)
        except PermissionError:
            run([*privileged(f"{point} cannot be made"), "mkdir", "-p", str(point)], f"{point} cannot be made")
        except OSError as error:
            raise MountError(f"{point} cannot be a mount point: {error.strerror}", is_final=True) from error
        return str(missing[-1]) if missing else None

    def _check(self, found: _Found, note: dict[str, Any] | None) -> None:
        """Refuse a place where something else is mounted."""
        own = found.device if self.source.is_of_kind(found.kind) else self.source.name
        told = own if note is None else note["source"]
        if not self.source.is_called(told):
            raise MountError(f"{told} is mounted at {self.point}, not {self.source.name}", is_final=True)


class _Found(NamedTuple):
    """What is mounted somewhere."""

    identity: str
    kind: str
    device: str


def mounted_at(point: Path) -> _Found | None:
    """Return what is mounted at a place; None if nothing is."""
    place = os.path.realpath(point)
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return _Found("", "", "") if os.path.ismount(place) else None  # not Linux
    for line in reversed(lines):  # the last one lies on top
        before, _, after = line.partition(" - ")
        if _plain(before.split(" ")[4]) == place:
            kind, device = after.split(" ")[:2]
            return _Found(before.split(" ")[0], kind, _plain(device))
    return None


def sweep() -> list[str]:
    """Unmount what processes that were killed left mounted; returns the mount points."""
    swept = []
    for path in sorted(_register().glob("*")):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                swept += _unmount_noted(lock)
            finally:
                os.close(lock)
    return swept


def _mark(found: _Found) -> str:
    """Return what tells a mount from another one that is made at the same place later."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{boot} {found.identity}"


def _note_of(lock: int, found: _Found | None) -> dict[str, Any] | None:
    """Return the note about a mount of NNI's; None for one that a person made, also in its place."""
    note = _read(lock)
    return note if note is not None and found is not None and note["mark"] == _mark(found) else None


def _unmount_noted(lock: int) -> list[str]:
    """Undo what the note says; returns the mount point, if there is any."""
    note = _read(lock)
    if note is None:
        return []
    point = Path(note["point"])
    found = mounted_at(point)
    if _note_of(lock, found) is not None and found is not None:
        _unmount(point, found.kind)
        found = mounted_at(point)
    os.ftruncate(lock, 0)
    if found is None:
        _remove_made(point, note["made"])
        if note["cache"] is not None:
            shutil.rmtree(note["cache"], ignore_errors=True)
    return [str(point)]


def _unmount(point: Path, kind: str) -> None:
    own = [["fusermount3", "-u", str(point)], ["fusermount", "-u", str(point)]] if "fuse" in kind else []
    problem: MountError | None = None
    for attempt in range(_BUSY + 1):
        lazily = ["-l"] if attempt == _BUSY else []
        try:
            commands = [*own, [*privileged(f"{point} cannot be unmounted"), "umount", *lazily, str(point)]]
        except MountError:
            commands = own
        for command in commands:
            try:
                run(command, f"{point} cannot be unmounted")
            except MountError as error:
                problem = error
            if mounted_at(point) is None:
                return
        time.sleep(0 if lazily else 0.5)
    if problem is not None:
        raise problem


def _remove_made(point: Path, topmost: str | None) -> None:
    """Remove the directories that were made for a mount, as far as they are empty: never more than a directory."""
    if topmost is None:
        return
    for path in (point, *point.parents):
        try:
            path.rmdir()
        except OSError:
            return
        if str(path) == topmost:
            return


def _register() -> Path:
    """Return the directory of notes: of this machine and this boot, as mounts are."""
    return Path(tempfile.gettempdir()) / f"nni-mounts-{os.getuid()}"


def _locked(point: Path) -> tuple[int, bool]:
    """Return the note about a mount point, and whether nobody else uses it; one who is mounting is waited for."""
    directory = _register()
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise MountError(f"{directory} belongs to somebody else; remove it", is_final=True)
    path = directory / hashlib.sha256(os.fsencode(os.path.abspath(point))).hexdigest()[:24]  # noqa: PTH100  (no links)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + _TURN
    while True:
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                return lock, kind == fcntl.LOCK_EX
        if time.monotonic() > deadline:
            os.close(lock)
            raise MountError(f"another process has been mounting at {point} for long", is_final=False)
        time.sleep(0.1)


def _read(lock: int) -> dict[str, Any] | None:
    try:
        note = json.loads(os.pread(lock, 65536, 0))
    except ValueError:
        return None
    return note if isinstance(note, dict) else None


def _write(lock: int, note: dict[str, Any]) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(note).encode(), 0)


def _plain(text: str) -> str:
    """Undo the escapes of mountinfo, which has octal numbers for blanks."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
