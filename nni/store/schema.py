"""The schema of an experiment's database, as the list of steps that built it.

Adding to the schema means appending a step, never editing one: databases of every earlier version exist on people's
disks, and opening one runs the steps it lacks in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nni.common.errors import NniError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE profile (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            id TEXT NOT NULL, status TEXT NOT NULL, errors TEXT NOT NULL,
            start_time INTEGER NOT NULL, end_time INTEGER, duration_ms INTEGER NOT NULL,
            next_sequence INTEGER NOT NULL, next_parameter_id INTEGER NOT NULL, revision INTEGER NOT NULL
        )
        """,
        # Apart from the profile, which is written with every trial: a search space may have megabytes.
        "CREATE TABLE config (one INTEGER PRIMARY KEY CHECK (one = 1), config TEXT NOT NULL)",
        """
        CREATE TABLE trial (
            sequence INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE, parameter_id INTEGER NOT NULL, source TEXT NOT NULL, parameters TEXT NOT NULL,
            status TEXT NOT NULL, message TEXT NOT NULL,
            submit_time INTEGER NOT NULL, start_time INTEGER, end_time INTEGER, exit_code INTEGER, stopping TEXT,
            intermediates INTEGER NOT NULL, final TEXT, value REAL, offset INTEGER NOT NULL,
            service TEXT NOT NULL, parameter_index INTEGER NOT NULL,
            created INTEGER NOT NULL, changed INTEGER NOT NULL, ended INTEGER
        )
        """,
        "CREATE INDEX trial_by_change ON trial (changed)",
        "CREATE INDEX trial_by_status ON trial (status)",
        "CREATE INDEX trial_by_value ON trial (value) WHERE value IS NOT NULL",
        # Unique by place in the trial's file: a line that is read twice cannot be counted twice.
        """
        CREATE TABLE metric (
            trial INTEGER NOT NULL, position INTEGER NOT NULL, type TEXT NOT NULL, sequence INTEGER NOT NULL,
            timestamp INTEGER NOT NULL, parameter_id INTEGER NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (trial, position)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE import (revision INTEGER NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL)",
    ),
    # What people write about trials; tags are a JSON list.
    ("CREATE TABLE note (trial INTEGER PRIMARY KEY, note TEXT NOT NULL, tags TEXT NOT NULL)",),
)


class StoreError(NniError):
    """The database cannot be used, and why."""


def prepare(
    connection: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]] = STEPS, *, read_only: bool = False
) -> None:
    """Bring a database up to date, or refuse it; for reading an older one stays as it is.

    Raises
    ------
    StoreError
        It was written by a newer version.
    sqlite3.DatabaseError
        It is not a database at all, or cannot be read.
    """
    version = _version(connection, path, steps)
    if version < len(steps) and not read_only:
        _apply(connection, steps[version:], len(steps))


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that a newer version wrote or that is damaged; for a read-only connection.

    Opening for writing merges what the write-ahead log holds into the file, which would spoil what a person may still
    want to rescue.

    Raises
    ------
    StoreError
        It was written by a newer version, or a page of it is damaged.
    sqlite3.DatabaseError
        It is not a database at all, or cannot be read.
    """
    _version(connection, path, STEPS)
    finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        problem = " ".join(finding.split())
        raise StoreError(f"{path}: damaged ({problem}); restore it from a copy, or read it with SQLite's .recover")


def _version(connection: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]]) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        raise StoreError(
            f"{path}: written by a newer version of nni (schema {version}, this one knows {len(steps)}); "
            "upgrade nni to open this experiment"
        )
    return version


def _apply(connection: sqlite3.Connection, steps: Sequence[Sequence[str]], version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
