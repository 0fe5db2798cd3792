"""The registry of all experiments of one user: ``~/nni-experiments/.experiment`` (PLT-003).

One JSON object keyed by experiment id. Several ``nnictl`` and manager processes write it at the same time, so every
change is read-modify-write under a lock file and an atomic replace; readers need no lock. Whether an experiment is
alive is never read from the file: its manager holds an ``flock`` on ``<experiment directory>/.lock`` for its whole
life, which no crash, power cut or reused process id can fake.

Standard library and filelock only: ``nnictl experiment list`` pays for this import.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import json
import logging
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from filelock import FileLock, Timeout

from nni.common.errors import NniError
from nni.common.paths import default_experiments_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Unpack

__all__ = ["ExperimentRegistry", "RegistryEntry", "RegistryError", "is_running"]

_log = logging.getLogger(__name__)

_ABSENT = "N/A"
_BEFORE_VIEW = "beforeView"
_LOCK_TIMEOUT_S = 60.0


class RegistryError(NniError):
    """The registry cannot be read or written, or does not know an experiment."""


class EntryChanges(TypedDict, total=False):
    """Fields that :meth:`ExperimentRegistry.update` may change."""

    port: int | None
    start_time: int | None
    end_time: int | None
    status: str
    platform: str
    name: str
    tag: list[str]
    pid: int | None
    urls: list[str]
    directory: Path
    url_prefix: str | None
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class RegistryEntry:
    """One experiment of the list.

    Attributes
    ----------
    id
        Experiment id.
    directory
        The experiment's own directory (``logDir`` in the file).
    port
        REST port of the last manager; None if unknown.
    start_time, end_time
        Epoch milliseconds; None if unknown or not ended (``N/A`` in the file).
    status
        An experiment status. From :meth:`ExperimentRegistry.entries` it is true: ``STOPPED`` whenever no manager runs.
    platform, name, tag, pid, urls, url_prefix
        As in the documented list (``platform``, ``experimentName``, ``tag``, ``pid``, ``webuiUrl``, ``prefixUrl``).
    extra
        Fields this version does not know; they are written back unchanged.
    """

    id: str
    directory: Path
    port: int | None = None
    start_time: int | None = None
    end_time: int | None = None
    status: str = "INITIALIZED"
    platform: str = "local"
    name: str = ""
    tag: list[str] = field(default_factory=list)
    pid: int | None = None
    urls: list[str] = field(default_factory=list)
    url_prefix: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether a manager of this experiment runs right now."""
        return is_running(self.directory)

    @property
    def is_view(self) -> bool:
        """Whether this stands for a look at a stopped experiment, perhaps at a copy of it."""
        return _BEFORE_VIEW in self.extra

    def as_view(self, before: RegistryEntry | None) -> RegistryEntry:
        """Return the entry for the time in which the experiment is viewed; afterwards `before` stands again."""
        return replace(self, extra={**self.extra, _BEFORE_VIEW: None if before is None else before.to_json()})

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it stands in the file and in ``GET /experiments-info``."""
        return {
            **self.extra,
            "id": self.id,
            "port": self.port,
            "startTime": _ABSENT if self.start_time is None else self.start_time,
            "endTime": _ABSENT if self.end_time is None else self.end_time,
            "status": self.status,
            "platform": self.platform,
            "experimentName": self.name,
            "tag": self.tag,
            "pid": self.pid,
            "webuiUrl": self.urls,
            "prefixUrl": self.url_prefix,
            "logDir": str(self.directory),
        }


_KNOWN = frozenset(RegistryEntry("", Path()).to_json())


def is_running(directory: Path) -> bool:
    """Return whether a manager holds the lock of an experiment directory.

    The probe takes the shared lock for an instant, so a manager that starts in that instant must try again.
    """
    try:
        descriptor = os.open(directory / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False


class ExperimentRegistry:
    """All experiments of this user.

    Safe to use from any number of threads and processes at once. An unreadable file is moved aside with a warning and
    rebuilt from the experiment directories beside it, so that running experiments can still be listed and stopped.

    Parameters
    ----------
    path
        The file. Default ``~/nni-experiments/.experiment``.

    Examples
    --------
    >>> import tempfile
    >>> registry = ExperimentRegistry(Path(tempfile.mkdtemp()) / ".experiment")
    >>> registry.add(RegistryEntry("wdt0le3v", Path("/tmp/wdt0le3v"), port=8080))
    >>> [entry.status for entry in registry.entries()]
    ['STOPPED']
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_experiments_directory() / ".experiment"

    def entries(self) -> list[RegistryEntry]:
        """Return all experiments with their true status, oldest first."""
        entries = (_truthful(entry) for entry in _parse_all(self._read()).values())
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.start_time or 0)

    def find(self, experiment_id: str) -> RegistryEntry | None:
        """Return one experiment with its true status, or None."""
        entry = _parse_all(self._read()).get(experiment_id)
        return _truthful(entry) if entry else None

    def get(self, experiment_id: str) -> RegistryEntry:
        """Return one experiment; raises :class:`RegistryError` naming similar ids if there is none."""
        entry = self.find(experiment_id)
        if entry is None:
            raise self._unknown(experiment_id, self._read())
        return entry

    def add(self, entry: RegistryEntry) -> None:
        """Add an experiment; raises :class:`RegistryError` if the id is taken."""
        with self._changing() as data:
            if entry.id in data:
                raise RegistryError(f"experiment id {entry.id} is already in {self.path}")
            data[entry.id] = entry.to_json()

    def put(self, entry: RegistryEntry) -> None:
        """Add an experiment or replace its entry."""
        with self._changing() as data:
            data[entry.id] = entry.to_json()

    def update(self, experiment_id: str, **changes: Unpack[EntryChanges]) -> RegistryEntry:
        """Change fields of one experiment and return its entry; raises :class:`RegistryError` if it is unknown."""
        with self._changing() as data:
            entry = _parse_all(data).get(experiment_id)
            if entry is None:
                raise self._unknown(experiment_id, data)
            changed = replace(entry, **changes)
            data[experiment_id] = changed.to_json()
        return changed

    def remove(self, experiment_id: str) -> bool:
        """Forget an experiment; returns whether it was known."""
        with self._changing() as data:
            return data.pop(experiment_id, None) is not None

    def end_view(self, experiment_id: str) -> None:
        """Put back what was known of an experiment before it was viewed; does nothing if it is not being viewed."""
        with self._changing() as data:
            entry = _parse_all(data).get(experiment_id)
            if entry is None or not entry.is_view:
                return
            before = entry.extra[_BEFORE_VIEW]
            if before is None:
                del data[experiment_id]
            else:
                data[experiment_id] = before

    def _unknown(self, experiment_id: str, data: Mapping[str, Any]) -> RegistryError:
        near = difflib.get_close_matches(experiment_id, data, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "see: nnictl experiment list --all"
        return RegistryError(f"no experiment has the id {experiment_id!r}; {hint}")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        with self._locked():
            data = self._load()
            yield data
            self._write(data)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=_LOCK_TIMEOUT_S):
                yield
        except Timeout:
            raise RegistryError(
                f"{self.path}.lock has been held by another process for {_LOCK_TIMEOUT_S:.0f} s"
            ) from None
        except OSError as error:
            raise RegistryError(f"cannot write the list of experiments {self.path}: {error.strerror}") from error

    def _read(self) -> dict[str, Any]:
        """Return the file's content; needs the lock only to repair a broken or lost file."""
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            if not _has_experiments(self.path.parent):
                return {}
        except ValueError:
            pass
        except OSError as error:
            raise RegistryError(f"cannot read the list of experiments {self.path}: {error.strerror}") from error
        with self._locked():  # look again: somebody may have repaired it meanwhile
            return self._load()

    def _load(self) -> dict[str, Any]:
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            return self._rebuild("was lost") if _has_experiments(self.path.parent) else {}
        except ValueError as error:
            aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
            self.path.replace(aside)
            return self._rebuild(f"was unreadable ({error}) and was moved to {aside}")

    def _rebuild(self, fault: str) -> dict[str, Any]:
        data = {entry.id: entry.to_json() for entry in _experiments_in(self.path.parent)}
        self._write(data)
        _log.warning(
            "The list of experiments %s %s. A new one was made of the %d experiment directories beside it; experiments "
            "in other directories are no longer listed, but nnictl resume --experiment_dir finds them.",
            *(self.path, fault, len(data)),
        )
        return data

    def _write(self, data: Mapping[str, Any]) -> None:
        """Replace the file in one step. It is private: a URL in it may carry a token."""
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.path)


def _decode(content: bytes) -> dict[str, Any]:
    data = json.loads(content)
    if not isinstance(data, dict):
        raise ValueError(f"a JSON object was expected, not a {type(data).__name__}")  # noqa: TRY004 - a file fault
    return data


def _parse_all(data: Mapping[str, Any]) -> dict[str, RegistryEntry]:
    """Return the readable entries; what is not an object stays in the file but is not an experiment."""
    return {key: _parse(key, value) for key, value in data.items() if isinstance(value, dict)}


def _parse(experiment_id: str, raw: Mapping[str, Any]) -> RegistryEntry:
    return RegistryEntry(
        id=experiment_id,
        directory=_own_directory(experiment_id, Path(str(raw.get("logDir", "")))),
        port=_integer(raw.get("port")),
        start_time=_integer(raw.get("startTime")),
        end_time=_integer(raw.get("endTime")),
        status=str(raw.get("status", "STOPPED")),
        platform=str(raw.get("platform") or "local"),
        name=str(raw.get("experimentName") or ""),
        tag=_strings(raw.get("tag")),
        pid=_integer(raw.get("pid")),
        urls=_strings(raw.get("webuiUrl")),
        url_prefix=raw.get("prefixUrl") or None,
        extra={key: value for key, value in raw.items() if key not in _KNOWN},
    )


def _own_directory(experiment_id: str, log_dir: Path) -> Path:
    """Entries of NNI 2.x name the directory that holds the experiment's one; ours name the experiment's own."""
    nested = log_dir / experiment_id
    return nested if log_dir.name != experiment_id and nested.is_dir() else log_dir


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _truthful(entry: RegistryEntry) -> RegistryEntry | None:
    """Return the entry with the status that its manager's lock proves; None if it was for a view only that is over."""
    if (entry.status == "STOPPED" and not entry.is_view) or entry.alive or _is_starting(entry):
        return entry
    if entry.is_view:
        before = entry.extra[_BEFORE_VIEW]
        return _truthful(_parse(entry.id, before)) if isinstance(before, dict) else None
    return replace(entry, status="STOPPED")


def _is_starting(entry: RegistryEntry) -> bool:
    """Return whether a manager was spawned and has not taken its lock yet.

    Only for display, and only before the first status change: nobody is signalled on the word of a bare process id.
    """
    if entry.status != "INITIALIZED" or not entry.pid:
        return False
    try:
        os.kill(entry.pid, 0)
    except OSError:
        return False
    return True


def _has_experiments(root: Path) -> bool:
    return any(root.glob("*/.lock"))


def _experiments_in(root: Path) -> list[RegistryEntry]:
    """Return what can be told about the experiments whose directories lie under a root."""
    return [_found(lock.parent) for lock in sorted(root.glob("*/.lock"))]


def _found(directory: Path) -> RegistryEntry:
    from nni.store.salvage import entry_of  # noqa: PLC0415 - it imports this module
    from nni.store.schema import StoreError  # noqa: PLC0415 - only after a loss

    live = is_running(directory)
    try:
        entry = entry_of(directory)
    except StoreError:
        entry = RegistryEntry(directory.name, directory, start_time=int(directory.stat().st_mtime * 1000))
    return replace(entry, status="RUNNING", end_time=None) if live else replace(entry, status="STOPPED")
