"""The store of one experiment: a SQLite database with one writer, the manager.

Durability: write-ahead log, ``synchronous=NORMAL``. A commit survives the death of any process at once, and a power cut
from the next :meth:`Store.sync` on (the manager calls it every second); the database stays intact either way.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from nni.store.records import ExperimentStatus, Metric, Profile, Trial, TrialStatus
from nni.store.schema import StoreError, check, prepare

if TYPE_CHECKING:
    from pathlib import Path

_TRIAL_FIELDS = tuple(item.name for item in fields(Trial))  # the columns bear the same names
TRIAL_COLUMNS = ", ".join(_TRIAL_FIELDS)
_FIXED = {"id", "sequence", "parameter_id", "source", "parameters", "submit_time", "parameter_index"}
_UPDATES = ", ".join(f"{name} = excluded.{name}" for name in (*_TRIAL_FIELDS, "changed", "ended") if name not in _FIXED)
_SAVE_TRIAL = (
    f"INSERT INTO trial ({TRIAL_COLUMNS}, created, changed, ended) "  # noqa: S608  (column names only)
    f"VALUES ({', '.join('?' * (len(_TRIAL_FIELDS) + 3))}) ON CONFLICT (sequence) DO UPDATE SET {_UPDATES}"
)
_SAVE_METRIC = "INSERT OR IGNORE INTO metric VALUES (?, ?, ?, ?, ?, ?, ?)"
_SAVE_PROFILE = """
    INSERT OR REPLACE INTO profile (one, id, status, errors, start_time, end_time, duration_ms,
        next_sequence, next_parameter_id, revision) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PROFILE = """
    SELECT id, config, status, errors, start_time, end_time, duration_ms, next_sequence, next_parameter_id, revision
    FROM profile JOIN config USING (one)
"""


@dataclass(slots=True)
class Batch:
    """What one transaction writes; later saves of the same trial replace earlier ones."""

    trials: dict[int, Trial] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    imports: list[tuple[int, str]] = field(default_factory=list)
    profile: Profile | None = None
    notes: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    """Note and tags of trials, by their numbers."""
    lost: dict[int, int] = field(default_factory=dict)
    """By the numbers of trials that run again, the place before which everything is dropped that they reported."""

    def __bool__(self) -> bool:
        return bool(self.trials or self.metrics or self.imports or self.profile or self.notes)


class Store:
    """Reads and writes one experiment's database. Not thread-safe: each thread opens its own.

    Parameters
    ----------
    path
        The database file; its folder must exist.
    read_only
        For clients beside the manager; never creates or migrates.
    at_rest
        There is no manager: reading leaves no file behind, and works on a read-only disk.
    """

    def __init__(self, path: Path, *, read_only: bool = False, at_rest: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._at_rest = at_rest
        if read_only and not path.exists():
            raise StoreError(f"{path}: no such experiment database")
        try:
            if not read_only and path.exists() and path.stat().st_size > 0:
                self._check()
            self._connection = self._connect(read_only=read_only)
            row = self._connection.execute("SELECT max(changed) FROM trial").fetchone()
        except sqlite3.OperationalError as error:  # the surroundings: full disk, no permission, locked
            raise StoreError(f"{path}: cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: not a usable experiment database ({error}); restore it from a copy") from error
        self._written_config: dict[str, Any] | None = None
        self.revision: int = row[0] or 0
        """Number of the newest commit; every trial row carries that of its last change."""

    def _check(self) -> None:
        with contextlib.closing(self._connect_to(self._mode_at_rest())) as connection:
            check(connection, self.path)

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        if not read_only:
            # Secrets of the config live in here, so the file is the user's alone from its first moment.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        reading = self._mode_at_rest() if self._at_rest else "ro"
        connection = self._connect_to(reading if read_only else "rw")
        try:
            if not read_only:
                _quietly(connection, "PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                # Checkpoints copy and fsync; `checkpoint` does them off the manager's event loop.
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            prepare(connection, self.path, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def _mode_at_rest(self) -> str:
        """Return how to read without a trace: where there is no log SQLite would make one, and leave it behind."""
        log = self.path.with_name(self.path.name + "-wal")
        return "ro" if log.exists() else "ro&immutable=1"

    def _connect_to(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)

    def close(self) -> None:
        """Close the database; the writer first moves everything into the one file, so that it can be copied."""
        if not self._read_only:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction: all of it or nothing.

        Raises
        ------
        sqlite3.Error
            Disk full, or worse; the database is as it was before.
        """
        revision = self.revision + 1
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if batch.metrics:
                self._connection.executemany(_SAVE_METRIC, batch.metrics)
            for trial in batch.trials.values():
                ended = revision if trial.status.ended else None
                execute(_SAVE_TRIAL, (*_trial_row(trial), revision, revision, ended))
            for sequence, place in batch.lost.items():
                execute("DELETE FROM metric WHERE trial = ? AND position < ?", (sequence, place))
            for time, data in batch.imports:
                execute("INSERT INTO import VALUES (?, ?, ?)", (revision, time, data))
            for sequence, (note, tags) in batch.notes.items():
                execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (sequence, note, json.dumps(tags)))
                execute("UPDATE trial SET changed = ? WHERE sequence = ?", (revision, sequence))
            if batch.profile is not None:
                execute(_SAVE_PROFILE, _profile_row(batch.profile))
                if batch.profile.config is not self._written_config:
                    config = json.dumps(batch.profile.config)
                    execute("INSERT OR REPLACE INTO config (one, config) VALUES (1, ?)", (config,))
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                execute("ROLLBACK")
            raise
        self.revision = revision
        if batch.profile is not None:
            self._written_config = batch.profile.config

    def log_size(self) -> int:
        """Return the bytes of the write-ahead log."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def sync(self) -> None:
        """Have everything committed so far survive a power cut; slow, so call it in a thread of its own."""
        with contextlib.suppress(FileNotFoundError):  # no log: everything is in the database file already
            log = os.open(self.path.with_name(self.path.name + "-wal"), os.O_RDONLY)
            try:
                os.fsync(log)
            finally:
                os.close(log)

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database file; slow (it syncs), so call it in a thread of its own.

        Commits go on meanwhile; once everything is copied, the log starts anew by itself.
        """
        connection = sqlite3.connect(self.path, timeout=1)
        with contextlib.closing(connection), contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    # What resume needs

    def profile(self) -> Profile | None:
        """Return the experiment's profile, None in a database that never got one.

        Raises
        ------
        StoreError
            What stands there is no profile: the file was damaged without SQLite noticing.
        """
        try:
            row = self._connection.execute(_PROFILE).fetchone()
            return None if row is None else _to_profile(row)
        except (sqlite3.DatabaseError, ValueError) as error:
            raise StoreError(f"{self.path}: damaged (profile: {error}); restore it from a copy") from error

    def unfinished(self) -> list[Trial]:
        """Return the trials that have not ended, in the order of submission."""
        unfinished = "status IN ('WAITING', 'RUNNING', 'UNKNOWN')"
        query = f"SELECT {TRIAL_COLUMNS} FROM trial WHERE {unfinished} ORDER BY sequence"  # noqa: S608
        return [to_trial(row) for row in self._connection.execute(query)]

    def counts(self) -> dict[TrialStatus, int]:
        """Return the number of trials in each status that occurs."""
        rows = self._connection.execute("SELECT status, count(*) FROM trial GROUP BY status")
        return {TrialStatus(status): number for status, number in rows}

    def history(self, *, intermediates: bool) -> list[dict[str, Any]]:
        """Return what happened, in order, as the events of ``ReplayHistory`` (``docs/development/interfaces.md``)."""
        ordered: list[tuple[int, int, list[dict[str, Any]]]] = []
        columns = "sequence, id, parameter_id, parameters, source, status, final, created, ended"
        for row in self._connection.execute(f"SELECT {columns} FROM trial"):  # noqa: S608
            ordered.append((row[7], row[0], [_parameters_event(row)]))
            told = self._intermediate_events(row) if intermediates else []
            if row[8] is not None:
                ordered.append((row[8], row[0], [*told, *_end_events(row)]))
            elif told:
                ordered.append((self.revision + 1, row[0], told))
        for revision, data in self._connection.execute("SELECT revision, data FROM import"):
            ordered.append((revision, -1, [{"kind": "import", "data": json.loads(data)}]))
        ordered.sort(key=lambda item: item[:2])
        return [event for _, _, events in ordered for event in events]

    def _intermediate_events(self, row: tuple[Any, ...]) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT sequence, value FROM metric WHERE trial = ? AND type = 'PERIODICAL' ORDER BY position", (row[0],)
        )
        common = {"kind": "intermediate", "trial_job_id": row[1], "parameter_id": row[2]}
        return [{**common, "sequence": sequence, "value": json.loads(value)} for sequence, value in rows]

    def query(self, query: str, arguments: list[Any]) -> sqlite3.Cursor:
        """Run a question of the reader's."""
        return self._connection.execute(query, arguments)


def _trial_row(trial: Trial) -> list[Any]:
    values = [getattr(trial, name) for name in _TRIAL_FIELDS]
    return [value.value if isinstance(value, TrialStatus) else value for value in values]


def to_trial(row: tuple[Any, ...]) -> Trial:
    """Return the trial of a row of `TRIAL_COLUMNS`."""
    trial = Trial(*row)
    trial.status = TrialStatus(trial.status)
    trial.stopping = TrialStatus(trial.stopping) if trial.stopping else None
    return trial


def _to_profile(row: tuple[Any, ...]) -> Profile:
    identifier, config, status, errors, *rest = row
    return Profile(identifier, json.loads(config), ExperimentStatus(status), json.loads(errors), *rest)


def _profile_row(profile: Profile) -> tuple[Any, ...]:
    return (
        profile.id,
        profile.status.value,
        json.dumps(profile.errors),
        profile.start_time,
        profile.end_time,
        profile.duration_ms,
        profile.next_sequence,
        profile.next_parameter_id,
        profile.revision,
    )


def _parameters_event(row: tuple[Any, ...]) -> dict[str, Any]:
    _, trial_id, parameter_id, parameters, source, *_ = row
    return {
        "kind": "parameters",
        "trial_job_id": trial_id,
        "parameter_id": parameter_id,
        "parameters": json.loads(parameters),
        "parameter_source": source,
    }


def _end_events(row: tuple[Any, ...]) -> list[dict[str, Any]]:
    _, trial_id, parameter_id, _, _, status, final, *_ = row
    common = {"trial_job_id": trial_id, "parameter_id": parameter_id}
    end = {"kind": "end", **common, "event": status}
    return [end] if final is None else [{"kind": "result", **common, "value": json.loads(final)}, end]


def _quietly(connection: sqlite3.Connection, pragma: str) -> None:
    """Run a pragma that fails on something that is no database; `prepare` says so in better words."""
    with contextlib.suppress(sqlite3.DatabaseError):
        connection.execute(pragma)
