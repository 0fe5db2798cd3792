"""The files of a trial code directory that go to other machines, and the limits on them (PLT-196, PLT-250, PLT-374).

One list for everybody: the size check, the archive and ``nnictl config files`` see the same files. `local` runs trials
in the directory itself, takes all of it and has no limit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nni.common.errors import NniError
from nni.training_service.ignore import NAME, Rules, read_rules

MOST_FILES = 2000
MOST_BYTES = 300 * 1024 * 1024
_GIVE_UP = 100_000  # files; whoever names a home directory by mistake is told so without waiting
_NAMED = 3  # of the largest entries in an error
_MEGABYTE = 1024 * 1024


class CodeFilesError(NniError):
    """The code directory cannot be taken to another machine as it is."""


@dataclass(frozen=True, slots=True)
class CodeFile:
    """One file.

    Attributes
    ----------
    path
        Relative to the code directory, with slashes.
    source
        Where it is read from.
    size
        Bytes.
    """

    path: str
    source: Path
    size: int


@dataclass(slots=True)
class CodeFiles:
    """What of a directory is taken.

    Attributes
    ----------
    directory
        The code directory, absolute.
    files
        What is left after ``.nniignore``, sorted by path. What a symbolic link points to is taken in its place.
    skipped
        Path and reason of what cannot be taken: links that lead nowhere or back, sockets, devices. What
        ``.nniignore`` names is not in it.
    """

    directory: Path
    files: list[CodeFile] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def require_limits(self) -> None:
        """
        Check that it is not too much.

        Raises
        ------
        CodeFilesError
            More than 2000 files or 300 megabytes; the largest are named.
        """
        by_number, by_size = len(self.files) > MOST_FILES, self.size > MOST_BYTES
        if not (by_number or by_size):
            return
        number = f"more than {_GIVE_UP}" if len(self.files) > _GIVE_UP else str(len(self.files))
        raise CodeFilesError(
            f"trialCodeDirectory: {self.directory} has {number} files, {_megabytes(self.size)}, but at most "
            f"{MOST_FILES} files and {_megabytes(MOST_BYTES)} are sent to other machines; the most is in "
            f"{', '.join(_largest(self.files, by_size=by_size))}; name what trials do not need in "
            f"{self.directory / NAME}"
        )


def collect(directory: Path) -> CodeFiles:
    """
    List the files of a code directory, without those that ``.nniignore`` files name and without ``.git``.

    Parameters
    ----------
    directory
        The code directory.

    Returns
    -------
    CodeFiles
        Not yet checked against the limits, see :meth:`CodeFiles.require_limits`.

    Raises
    ------
    CodeFilesError
        It is no directory, or something in it cannot be read and is not left out.
    """
    found = CodeFiles(directory.absolute())
    if not directory.is_dir():
        raise CodeFilesError(f"trialCodeDirectory: {directory} is not a directory")
    for file in _walk(_Place(found.directory, "", ()), found.skipped, [found.directory.resolve()]):
        found.files.append(file)
        if len(found.files) > _GIVE_UP:
            break
    found.files.sort(key=lambda file: file.path)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory on the way, and the rules that hold in it: their directory's path and they themselves."""

    directory: Path
    path: str
    rules: tuple[tuple[str, Rules], ...]

    def is_left_out(self, path: str, *, is_directory: bool) -> bool:
        for base, rules in reversed(self.rules):
            decision = rules.decide(path[len(base) :], is_directory=is_directory)
            if decision is not None:
                return decision
        return False


def _walk(place: _Place, skipped: list[tuple[str, str]], parents: list[Path]) -> Iterator[CodeFile]:
    """Yield the files below a directory; `parents` are the real directories one is in: no link may lead back there."""
    with _told(place.path or str(place.directory)):
        rules = read_rules(place.directory)
        entries = sorted(os.scandir(place.directory), key=lambda entry: entry.name)
    if rules is not None:
        place = _Place(place.directory, place.path, (*place.rules, (place.path, rules)))
    for entry in entries:
        path = place.path + entry.name
        # To git a link is no directory, so that "name/" does not match it; nor is it one here.
        is_own_directory = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or place.is_left_out(path, is_directory=is_own_directory):
            continue
        yield from _take(entry, path, place, skipped, parents)


def _take(
    entry: os.DirEntry[str], path: str, place: _Place, skipped: list[tuple[str, str]], parents: list[Path]
) -> Iterator[CodeFile]:
    try:
        status = entry.stat()
    except OSError as error:
        if not entry.is_symlink():
            raise CodeFilesError(_unreadable(path, error.strerror or str(error))) from error
        skipped.append((path, "a link that leads nowhere"))
        return
    if stat.S_ISDIR(status.st_mode):
        real = Path(entry.path).resolve()
        if real in parents:
            skipped.append((path, "a link that leads back"))
        else:
            inside = _Place(Path(entry.path), f"{path}/", place.rules)
            yield from _walk(inside, skipped, [*parents, real])
    elif not stat.S_ISREG(status.st_mode):
        skipped.append((path, "neither a file nor a directory"))
    elif not os.access(entry.path, os.R_OK):
        raise CodeFilesError(_unreadable(path, os.strerror(errno.EACCES)))
    else:
        yield CodeFile(path, Path(entry.path), status.st_size)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn an error of the file system into one that names the path as the user knows it."""
    try:
        yield
    except OSError as error:
        raise CodeFilesError(_unreadable(path, error.strerror or str(error))) from error


def _unreadable(path: str, why: str) -> str:
    return f"trialCodeDirectory: {path} cannot be read ({why}); name it in {NAME} if trials do not need it"


def _largest(files: list[CodeFile], *, by_size: bool) -> list[str]:
    """Return the entries that hold most, as words; instead of a directory one in it that holds nearly all of it."""
    totals: dict[str, list[int]] = {}
    for file in files:
        parts = file.path.split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth]) + ("/" if depth < len(parts) else "")
            total = totals.setdefault(name, [0, 0])
            total[0] += file.size
            total[1] += 1
    measure = 0 if by_size else 1
    top = sorted((name for name in totals if name.rstrip("/").count("/") == 0), key=lambda name: -totals[name][measure])
    named = [_narrowed(name, totals, measure) for name in top[:_NAMED]]
    return [f"{name} ({_amount(*totals[name])})" for name in named]


def _narrowed(name: str, totals: dict[str, list[int]], measure: int) -> str:
    while True:
        depth = name.count("/")
        inside = [other for other in totals if other.startswith(name) and other.rstrip("/").count("/") == depth]
        fullest = max(inside, key=lambda other: totals[other][measure], default=name)
        if not name.endswith("/") or totals[fullest][measure] < 0.9 * totals[name][measure]:
            return name
        name = fullest


def _amount(size: int, number: int) -> str:
    return _megabytes(size) if number == 1 else f"{number} files, {_megabytes(size)}"


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.0f} MB" if size >= _MEGABYTE or size == 0 else f"{size / 1024:.1f} kB"
