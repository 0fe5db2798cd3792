"""Questions to the store of one experiment, from any number of threads beside the one that writes."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nni.store.records import Metric, Trial, TrialStatus
from nni.store.search import Search
from nni.store.store import TRIAL_COLUMNS, Store, to_trial

# What advisors tell a trial to spend. Results of smaller budgets are of another scale than those of the largest: an
# error after one epoch says little beside one after 81. Parameters may hold NaN, which SQLite's JSON does not know.
_BUDGET = "CASE WHEN json_valid(parameters) THEN json_extract(parameters, '$.TRIAL_BUDGET') END"

ORDERS = {
    "sequence": "sequence",
    "-sequence": "sequence DESC",
    "metric": "value IS NULL, value, sequence",
    "-metric": "value IS NULL, value DESC, sequence",
    "budget-metric": f"value IS NULL, {_BUDGET} DESC, value, sequence",
    "-budget-metric": f"value IS NULL, {_BUDGET} DESC, value DESC, sequence",
    "duration": "end_time IS NULL, end_time - start_time, sequence",
    "-duration": "end_time IS NULL, end_time - start_time DESC, sequence",
}
"""Names of orders; trials without the figure come last. Those with `budget` put larger ``TRIAL_BUDGET`` first."""

_LISTED = "SELECT value FROM json_each(?)"  # any number of them; placeholders are limited


class Reader:
    """Reads what is committed; each thread has a connection of its own. `at_rest` as in :class:`Store`."""

    def __init__(self, path: Path, *, at_rest: bool = False) -> None:
        self._path = path
        self._at_rest = at_rest
        self._local = threading.local()

    def _query(self, query: str, arguments: list[Any] | None = None) -> sqlite3.Cursor:
        store: Store | None = getattr(self._local, "store", None)
        if store is None:
            store = self._local.store = Store(self._path, read_only=True, at_rest=self._at_rest)
        return store.query(query, arguments or [])

    def close(self) -> None:
        """Close this thread's connection; those of others close with their threads."""
        store: Store | None = getattr(self._local, "store", None)
        if store is not None:
            store.close()
            del self._local.store

    def trials(
        self,
        statuses: list[TrialStatus] | None = None,
        order: str = "sequence",
        limit: int = -1,
        offset: int = 0,
        changed_after: int = 0,
    ) -> list[Trial]:
        """Return trials, all of them by default, in one of `ORDERS`."""
        where, arguments = _conditions(statuses, changed_after)
        # Left alone, SQLite reads the whole table rather than sort the few rows that changed.
        index = "INDEXED BY trial_by_change" if changed_after else ""
        query = f"SELECT {TRIAL_COLUMNS} FROM trial {index} {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?"  # noqa: S608
        return [to_trial(row) for row in self._query(query, [*arguments, limit, offset])]

    def number(self, statuses: list[TrialStatus] | None = None) -> int:
        """Return how many trials there are."""
        where, arguments = _conditions(statuses, 0)
        number: int = self._query(f"SELECT count(*) FROM trial {where}", arguments).fetchone()[0]  # noqa: S608
        return number

    def revision(self) -> int:
        """Return the number of the newest change to any trial."""
        return self._query("SELECT max(changed) FROM trial").fetchone()[0] or 0

    def trial(self, identifier: str) -> Trial | None:
        """Return one trial, None if there is none of that id."""
        row = self._query(f"SELECT {TRIAL_COLUMNS} FROM trial WHERE id = ?", [identifier]).fetchone()  # noqa: S608
        return to_trial(row) if row else None

    def identifiers(self) -> list[str]:
        """Return the ids of all trials, in the order in which they were made."""
        return [identifier for (identifier,) in self._query("SELECT id FROM trial ORDER BY sequence")]

    def best(self, *, maximize: bool) -> Trial | None:
        """Return the succeeded trial with the best value, None before there is one."""
        # By the index over values: this is asked with every change, whatever the number of trials.
        query = (
            f"SELECT {TRIAL_COLUMNS} FROM trial INDEXED BY trial_by_value WHERE value IS NOT NULL AND status = ? "  # noqa: S608
            f"ORDER BY value {'DESC' if maximize else 'ASC'}, sequence LIMIT 1"
        )
        row = self._query(query, [TrialStatus.SUCCEEDED.value]).fetchone()
        return to_trial(row) if row else None

    def metrics(
        self, kind: str | None = None, sequences: tuple[int, int] | None = None, *, latest: bool = False
    ) -> Iterator[tuple[str, Metric]]:
        """Yield results with their trials' ids, in the order in which each trial reported them.

        Parameters
        ----------
        kind
            Only this type.
        sequences
            Only trials whose number lies in this closed range.
        latest
            Of intermediate results, only each trial's last.
        """
        clauses, arguments = ["1"], list[Any]()
        if kind is not None:
            clauses.append("metric.type = ?")
            arguments.append(kind)
        if sequences is not None:
            clauses.append("trial BETWEEN ? AND ?")
            arguments += sequences
        if latest:
            clauses.append(
                "(metric.type <> 'PERIODICAL' OR metric.position = (SELECT max(other.position) FROM metric AS other "
                "WHERE other.trial = metric.trial AND other.type = 'PERIODICAL'))"
            )
        query = (
            "SELECT trial.id, metric.* FROM metric JOIN trial ON trial.sequence = metric.trial "  # noqa: S608
            f"WHERE {' AND '.join(clauses)} ORDER BY metric.trial, metric.position"
        )
        for identifier, *rest in self._query(query, arguments):
            yield identifier, Metric(*rest)

    def search(self, search: Search, limit: int, offset: int) -> tuple[int, list[Trial]]:
        """Return how many trials a search finds, and a page of them."""
        where, arguments = search.where()
        order, order_arguments = search.ordering()
        number = self._query(f"SELECT count(*) FROM trial WHERE {where}", arguments).fetchone()[0]  # noqa: S608
        query = f"SELECT {TRIAL_COLUMNS} FROM trial WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._query(query, [*arguments, *order_arguments, limit, offset])
        return number, [to_trial(row) for row in rows]

    def changed_trials(self, after: int) -> int:
        """Return how many trials changed after a revision."""
        number: int = self._query("SELECT count(*) FROM trial WHERE changed > ?", [after]).fetchone()[0]
        return number

    def values(self) -> list[tuple[int, float]]:
        """Return number and value of every trial that has a value, in the order in which they were made."""
        query = "SELECT sequence, value FROM trial WHERE value IS NOT NULL ORDER BY sequence"
        return self._query(query).fetchall()

    def ranked(self, *, maximize: bool, budgets: bool = False) -> list[int]:
        """Return the numbers of all trials that have a value, best first.

        Parameters
        ----------
        maximize
            Larger is better.
        budgets
            Trials with a larger ``TRIAL_BUDGET`` come before all others.
        """
        order = ORDERS[f"{'-' if maximize else ''}{'budget-' if budgets else ''}metric"]
        query = f"SELECT sequence FROM trial WHERE value IS NOT NULL ORDER BY {order}"  # noqa: S608
        return [sequence for (sequence,) in self._query(query)]

    def results(self, *, budgets: bool = False) -> list[tuple[int, int, float, float | None]]:
        """Return number, end (epoch ms), value and budget of every trial that ended with a value, by their ends.

        Parameters
        ----------
        budgets
            Look for ``TRIAL_BUDGET`` among the parameters; otherwise the budgets are all None.
        """
        budget = _BUDGET if budgets else "NULL"
        query = (
            f"SELECT sequence, end_time, value, {budget} FROM trial WHERE value IS NOT NULL AND end_time IS NOT NULL"  # noqa: S608
        )
        return self._query(f"{query} ORDER BY end_time, sequence").fetchall()

    def numbered(self, sequences: list[int]) -> list[Trial]:
        """Return the trials of these numbers, in the order in which they were made."""
        query = f"SELECT {TRIAL_COLUMNS} FROM trial WHERE sequence IN ({_LISTED}) ORDER BY sequence"  # noqa: S608
        return [to_trial(row) for row in self._query(query, [json.dumps(sequences)])]

    def intermediates(self, sequences: list[int]) -> Iterator[tuple[int, int, str]]:
        """Yield number, step and JSON text of every intermediate result of these trials."""
        query = (
            f"SELECT trial, sequence, value FROM metric WHERE trial IN ({_LISTED}) "  # noqa: S608
            "AND type = 'PERIODICAL' ORDER BY trial, position"
        )
        yield from self._query(query, [json.dumps(sequences)])

    def intermediates_at(self, step: int) -> Iterator[tuple[int, str]]:
        """Yield number and JSON text of every trial's intermediate result of one step."""
        yield from self._query("SELECT trial, value FROM metric WHERE type = 'PERIODICAL' AND sequence = ?", [step])

    def notes(self) -> dict[int, tuple[str, list[str]]]:
        """Return what people wrote about trials: note and tags, by the trials' numbers."""
        try:
            rows = self._query("SELECT trial, note, tags FROM note").fetchall()
        except sqlite3.OperationalError:  # written before there were notes, and only being looked at
            return {}
        return {sequence: (note, json.loads(tags)) for sequence, note, tags in rows}

    def imports(self) -> list[str]:
        """Return what was imported, each a JSON text."""
        return [data for (data,) in self._query("SELECT data FROM import ORDER BY rowid")]

    def best_of_largest_budget(self, *, maximize: bool, changed_after: int = 0) -> Trial | None:
        """Return the succeeded trial with the best value among those whose ``TRIAL_BUDGET`` is the largest.

        Parameters
        ----------
        maximize
            Larger is better.
        changed_after
            Among trials that changed after this revision only.
        """
        where, arguments = _conditions([TrialStatus.SUCCEEDED], changed_after)
        index = "INDEXED BY trial_by_change" if changed_after else ""
        order = ORDERS["-budget-metric" if maximize else "budget-metric"]
        query = f"SELECT {TRIAL_COLUMNS} FROM trial {index} {where} AND value IS NOT NULL ORDER BY {order} LIMIT 1"  # noqa: S608
        row = self._query(query, arguments).fetchone()
        return to_trial(row) if row else None


def _conditions(statuses: list[TrialStatus] | None, changed_after: int) -> tuple[str, list[Any]]:
    clauses, arguments = ["1"], list[Any]()
    if statuses:
        clauses.append(f"status IN ({', '.join('?' * len(statuses))})")
        arguments += [status.value for status in statuses]
    if changed_after:
        clauses.append("changed > ?")
        arguments.append(changed_after)
    return f"WHERE {' AND '.join(clauses)}", arguments
