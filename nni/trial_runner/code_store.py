"""The files of code directories on this machine: kept by their content, so that none is sent twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nni.trial_runner.protocol import Blob, Code

_UNUSED = 30 * 24 * 3600.0  # seconds after which a file that no experiment used is dropped
_MOST_BYTES = 4 << 30  # kept, the most recently used first


def cache_directory() -> Path:
    """Return where this user keeps what can be sent again: ``$XDG_CACHE_HOME/nni`` or ``~/.cache/nni``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nni"


class CodeStore:
    """Takes the files of a code directory and puts copies of the directory where trials want them.

    Parameters
    ----------
    cache
        Files by their SHA-256, shared by all experiments of this user.
    trees
        The code directories of one experiment, complete ones, by the digest of their list.
    """

    def __init__(self, cache: Path, trees: Path) -> None:
        self._cache = cache
        self._trees = trees
        self._wanted: Code | None = None

    def missing(self, code: Code) -> list[str]:
        """Return the SHA-256 of the files that are not here; if there is none, the directory is ready."""
        self._wanted = code
        if self.has(code.digest):
            return []
        missing = {sha for _, size, sha, _ in code.files if not self._is_here(sha, size)}
        if not missing:
            self._build(code)
        return sorted(missing)

    def has(self, digest: str) -> bool:
        """Return whether a code directory is complete."""
        return (self._trees / digest).is_dir()

    def fill(self, code: Code, directory: Path) -> None:
        """Take files that are not here from a copy of the code directory, if they are what they should be."""
        if self.has(code.digest):
            return
        for name, size, sha, _ in code.files:
            if self._is_here(sha, size):
                continue
            path = self._path(sha)
            part = path.with_name(f"{path.name}.part-{os.getpid()}")
            part.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # it comes over the connection then
                shutil.copyfile(_inside(directory, name), part)
                if _sha(part) == sha:
                    part.replace(path)
                else:
                    part.unlink()

    def take(self, blob: Blob) -> bool:
        """Write a piece of a file; returns whether the file is complete now. What arrived damaged is refused."""
        path = self._path(blob.sha)
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb" if blob.place == 0 else "r+b") as file:
            file.seek(blob.place)
            file.write(blob.payload)
        if not blob.is_last:
            return False
        if _sha(part) != blob.sha:
            part.unlink()
            raise OSError(f"a file of the code directory arrived damaged ({blob.sha[:12]})")
        part.replace(path)
        return True

    def copy(self, digest: str, target: Path) -> None:
        """Make a trial's own copy of a code directory."""
        shutil.copytree(self._trees / digest, target, copy_function=_copy, dirs_exist_ok=True)

    def trim(self) -> None:
        """Drop files that nobody used for long, and the oldest ones of too many."""
        found = []
        for path in self._cache.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        kept = 0
        for used, size, path in sorted(found, key=lambda entry: -entry[0]):
            kept += size
            if kept > _MOST_BYTES or time.time() - used > _UNUSED:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _build(self, code: Code) -> None:
        """Put the directory together with links into the cache: dropping a file there does not take it from here."""
        new = self._trees / f"{code.digest}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, _, sha, is_executable in code.files:
            path = _inside(new, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            source = self._path(sha)
            os.utime(source)
            if is_executable:
                shutil.copyfile(source, path)
                path.chmod(0o755)
            else:
                _link(source, path)
        new.replace(self._trees / code.digest)

    def _is_here(self, sha: str, size: int) -> bool:
        try:
            return self._path(sha).stat().st_size == size
        except OSError:
            return False

    def _path(self, sha: str) -> Path:
        if len(sha) != 64 or not all(letter in "0123456789abcdef" for letter in sha):
            raise OSError(f"not a SHA-256: {sha!r}")
        return self._cache / sha[:2] / sha


def _inside(directory: Path, name: str) -> Path:
    parts = name.split("/")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise OSError(f"not a path inside of a code directory: {name!r}")
    return directory.joinpath(*parts)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _copy(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    if os.access(source, os.X_OK):
        os.chmod(target, 0o755)  # noqa: PTH101, S103  (the path is text; trials run it)
    return target


def _sha(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()
