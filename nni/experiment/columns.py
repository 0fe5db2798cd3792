"""Trials as compact rows, for a page that holds thousands of them: names once, numbers with six digits.

A row is ``[sequence, id, status, start, end, metric, intermediates, service, source, message, parameters, metrics]``
(and ``note, tags`` where somebody wrote some):
`status` is a place in ``statuses``, times are epoch milliseconds, `metric` is the number that trials are ranked by (or
the text of what was reported instead, or null), `parameters` and `metrics` are lists in the order of the names that
stand beside the rows; they may be shorter than those. A nested choice becomes several parameters: its own name with
what was chosen, and ``name/inner`` for what depends on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nni.common import json
from nni.store import Search, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nni.experiment.queries import Queries
    from nni.store import Trial

__all__ = ["MOST_ROWS", "changed_columns", "found_columns", "plain_parameters"]

MOST_ROWS = 20_000
"""Up to so many trials a page gets all of them; beyond, a sample that keeps the extremes."""

_STATUSES = {status: place for place, status in enumerate(TrialStatus)}
_PIECE = 500  # rows encoded at a time, so that other threads get their turn
_TEXT = 300  # characters of a message or of a parameter that a table shows
_BEST, _NEWEST, _BUCKETS = 1000, 1000, 2000  # of which a sample consists


def changed_columns(queries: Queries, after: int) -> str:
    """Return JSON of the trials that changed after a revision; all of them, or a sample of them, for 0.

    Returns
    -------
    str
        ``{"revision", "total", "sampled", "statuses", "parameters", "metrics", "rows"}``.
    """
    reader = queries.reader
    revision, total = reader.revision(), reader.number()
    sampled = total > MOST_ROWS
    if after == 0 and sampled:
        trials: Iterable[Trial] = reader.numbered(_sample(queries, total))
    else:
        trials = reader.trials(changed_after=after)
    return _encode(trials, {"revision": revision, "total": total, "sampled": sampled}, reader.notes())


def found_columns(queries: Queries, search: Search, limit: int, offset: int) -> str:
    """Return JSON of a page of the trials that a search finds; ``total`` is the number of all that it finds."""
    revision = queries.reader.revision()
    total, trials = queries.reader.search(search, limit, offset)
    head = {"revision": revision, "total": total, "sampled": False}
    return _encode(trials, head, queries.reader.notes())


def plain_parameters(parameters: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and scalar values of a configuration; nested names are joined by ``/``."""
    items = parameters.items() if isinstance(parameters, dict) else [("value", parameters)]
    for name, value in items:
        if not isinstance(value, dict):
            yield f"{prefix}{name}", value
            continue
        if "_name" in value:
            yield f"{prefix}{name}", value["_name"]
        yield from plain_parameters({key: item for key, item in value.items() if key != "_name"}, f"{prefix}{name}/")


def _sample(queries: Queries, total: int) -> list[int]:
    """Return numbers of trials that show the whole: the best, the newest, and of each stretch the extremes."""
    values = queries.reader.values()
    chosen = set(queries.reader.ranked(maximize=queries.maximize, budgets=queries.has_budgets)[:_BEST])
    chosen.update(range(max(0, total - _NEWEST), total))
    size = max(1, len(values) // _BUCKETS)
    for start in range(0, len(values), size):
        bucket = values[start : start + size]
        chosen.add(min(bucket, key=lambda item: item[1])[0])
        chosen.add(max(bucket, key=lambda item: item[1])[0])
    unfinished = [TrialStatus.RUNNING, TrialStatus.UNKNOWN]
    chosen.update(trial.sequence for trial in queries.reader.trials(unfinished, limit=_NEWEST))
    return sorted(chosen)


def _encode(trials: Iterable[Trial], head: dict[str, Any], notes: dict[int, tuple[str, list[str]]]) -> str:
    parameters, metrics = dict[str, int](), dict[str, int]()
    pieces, rows = list[str](), list[list[Any]]()
    for trial in trials:
        rows.append([*_row(trial, parameters, metrics), *notes.get(trial.sequence, ())])
        if len(rows) == _PIECE:
            pieces.append(json.dumps(rows)[1:-1])
            rows = []
    pieces.append(json.dumps(rows)[1:-1])
    names = {"statuses": [status.value for status in TrialStatus], "parameters": [*parameters], "metrics": [*metrics]}
    body = ",".join(piece for piece in pieces if piece)
    return f'{json.dumps({**head, **names})[:-1]},"rows":[{body}]}}'


def _row(trial: Trial, parameters: dict[str, int], metrics: dict[str, int]) -> list[Any]:
    metric, others = _metrics(trial)
    return [
        trial.sequence,
        trial.id,
        _STATUSES[trial.status],
        trial.start_time,
        trial.end_time,
        metric,
        trial.intermediates,
        trial.service,
        trial.source,
        trial.message[:_TEXT],
        _placed(plain_parameters(json.loads(trial.parameters)), parameters),
        _placed(others, metrics),
    ]


def _metrics(trial: Trial) -> tuple[Any, list[tuple[str, Any]]]:
    if trial.final is None:
        return None, []
    final = json.loads(trial.final)
    others = [(key, value) for key, value in final.items() if key != "default"] if isinstance(final, dict) else []
    if trial.value is not None:
        return _short(trial.value), others
    return _short(final.get("default") if isinstance(final, dict) else final), others


def _placed(items: Iterable[tuple[str, Any]], places: dict[str, int]) -> list[Any]:
    """Return the values as a list in which each name has the same place in every row."""
    row: list[Any] = [None] * len(places)
    for name, value in items:
        place = places.get(name)
        if place is None:
            place = places[name] = len(places)
            row.append(None)
        row[place] = _short(value)
    return row


def _short(value: Any) -> Any:
    """Return a value as a table or a chart needs it."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else json.strict(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_TEXT]
