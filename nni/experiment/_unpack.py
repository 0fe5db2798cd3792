"""Takes files out of an archive that may come from anywhere: none leaves its target, none replaces another."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nni.common.errors import NniError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from typing_extensions import Self

_PIECE = 1 << 20
_PERMISSIONS = 0o755  # of what the archive says; neither set-user-id nor writable by others


class UnpackError(NniError):
    """An archive cannot be unpacked."""


def members(archive: zipfile.ZipFile, prefix: str) -> list[zipfile.ZipInfo]:
    """Return the files of an archive below a prefix."""
    return [member for member in archive.infolist() if member.filename.startswith(prefix) and not member.is_dir()]


class Unpacker:
    """Writes files; when the block is left with an error, those that it has written are taken away again.

    Parameters
    ----------
    package
        What the archive is called in errors.
    """

    def __init__(self, package: Path) -> None:
        self._package = package
        self._written: list[Path] = []
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for path in self._written:
                path.unlink(missing_ok=True)
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):  # somebody else has put something there
                    folder.rmdir()

    def extract(self, archive: zipfile.ZipFile, prefix: str, target: Path) -> None:
        """Put the files below a prefix into a directory, which is made if it is not there.

        Raises
        ------
        UnpackError
            A path leaves the directory, a file is there already with another content, or the disk has no room.
        """
        chosen = members(archive, prefix)
        if not chosen:
            return
        self._make(target)
        paths = [target / self._relative(member, prefix) for member in chosen]
        self._require_room(sum(member.file_size for member in chosen), target)
        for member, path in zip(chosen, paths, strict=True):
            self._require_inside(path, target)
            if path.exists() or path.is_symlink():
                self._require_same(archive, member, path)
                continue
            with archive.open(member) as source:
                self._write(path, source, (member.external_attr >> 16) & _PERMISSIONS)

    def write(self, path: Path, content: bytes) -> None:
        """Write a new file; one with the same content may be there already."""
        if path.is_file() and path.read_bytes() == content:
            return
        if path.exists():
            raise UnpackError(f"{path}: exists already, and is not overwritten")
        with self._create(path, 0o644) as stream:
            stream.write(content)

    def _relative(self, member: zipfile.ZipInfo, prefix: str) -> PurePosixPath:
        name = member.filename.removeprefix(prefix)
        path = PurePosixPath(name)
        is_plain = stat.S_IFMT(member.external_attr >> 16) in {0, stat.S_IFREG}
        if not is_plain or path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
            raise UnpackError(
                f"{self._package}: {member.filename!r} leaves the directory it belongs in; nothing is loaded"
            )
        return path

    def _require_room(self, size: int, target: Path) -> None:
        free = shutil.disk_usage(target).free
        if size > free:
            raise UnpackError(f"{target}: {size:,} bytes are needed and {free:,} are free")

    def _require_inside(self, path: Path, target: Path) -> None:
        """Refuse a path that a link in the target leads elsewhere, before and after its folder is made."""
        root = target.resolve()
        for _ in range(2):
            if not path.parent.resolve().is_relative_to(root):
                raise UnpackError(f"{path}: a link leads out of {target}; nothing is loaded")
            self._make(path.parent)

    def _require_same(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
        same = path.is_file() and not path.is_symlink() and path.stat().st_size == member.file_size
        if not same or path.read_bytes() != archive.read(member):
            raise UnpackError(f"{path}: exists already, and is not overwritten; choose another directory")

    def _write(self, path: Path, source: IO[bytes], mode: int) -> None:
        with self._create(path, mode or 0o644) as stream:
            shutil.copyfileobj(source, stream, _PIECE)

    def _create(self, path: Path, mode: int) -> IO[bytes]:
        self._make(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        self._written.append(path)
        return os.fdopen(descriptor, "wb")

    def _make(self, directory: Path) -> None:
        missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._made.append(folder)
