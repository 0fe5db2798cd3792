"""A search over trials as SQL: what a person types into the fields above a table, answered by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nni.store.records import TrialStatus

_COLUMNS = {
    "sequence": "sequence",
    "id": "id",
    "status": "status",
    "metric": "value",
    "start": "start_time",
    "end": "end_time",
    "duration": "end_time - start_time",
    "intermediates": "intermediates",
    "service": "service",
    "source": "source",
}
"""What trials can be ordered by, beside their parameters (``parameter:NAME``)."""

PARAMETER = "parameter:"


@dataclass(frozen=True, slots=True)
class ParameterFilter:
    """One condition on a parameter: one of `values`, or within the closed range; nested names are joined by ``/``."""

    name: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """Which trials, in which order.

    Attributes
    ----------
    text
        Part of an id, or a whole sequence number; empty for all.
    statuses
        One of these; empty for all.
    parameters
        All of these conditions.
    order
        ``sequence``, ``id``, ``status``, ``metric``, ``start``, ``end``, ``duration``, ``intermediates``, ``service``,
        ``source`` or ``parameter:NAME``; trials without the figure come last.
    descending
        Largest first.
    """

    text: str = ""
    statuses: tuple[TrialStatus, ...] = ()
    parameters: tuple[ParameterFilter, ...] = ()
    order: str = "sequence"
    descending: bool = False

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition and its arguments.

        Raises
        ------
        ValueError
            A name cannot be looked for.
        """
        clauses, arguments = ["1"], list[Any]()
        if self.text:
            clauses.append("(instr(lower(id), lower(?)) > 0 OR CAST(sequence AS TEXT) = ?)")
            arguments += [self.text, self.text]
        if self.statuses:
            clauses.append(f"status IN ({', '.join('?' * len(self.statuses))})")
            arguments += [status.value for status in self.statuses]
        for condition in self.parameters:
            _add(condition, clauses, arguments)
        return " AND ".join(clauses), arguments

    def ordering(self) -> tuple[str, list[Any]]:
        """Return the order and its arguments.

        Raises
        ------
        ValueError
            Nothing is called so.
        """
        arguments = list[Any]()
        if self.order == "sequence":  # the order of the table itself: nothing to sort
            return f"sequence {'DESC' if self.descending else 'ASC'}", arguments
        if self.order.startswith(PARAMETER):
            expression = _EXTRACT
            arguments = _extract_arguments(self.order.removeprefix(PARAMETER))
        elif self.order in _COLUMNS:
            expression = _COLUMNS[self.order]
        else:
            known = ", ".join([*_COLUMNS, f"{PARAMETER}NAME"])
            raise ValueError(f"order {self.order!r} is unknown; one of {known}")
        direction = "DESC" if self.descending else "ASC"
        return f"({expression}) IS NULL, ({expression}) {direction}, sequence", arguments * 2


# Parameters may hold NaN, which SQLite's JSON does not know. A nested choice is named by its `_name`.
_EXTRACT = (
    "CASE WHEN json_valid(parameters) THEN "
    "coalesce(json_extract(parameters, ? || '._name'), json_extract(parameters, ?)) END"
)


def _extract_arguments(name: str) -> list[Any]:
    path = "$" + "".join(f'."{part}"' for part in name.split("/"))
    if '"' in name:
        raise ValueError(f"parameter {name!r}: a name with a quotation mark cannot be searched for")
    return [path, path]


def _add(condition: ParameterFilter, clauses: list[str], arguments: list[Any]) -> None:
    if condition.values:
        clauses.append(f"({_EXTRACT}) IN ({', '.join('?' * len(condition.values))})")
        arguments += [*_extract_arguments(condition.name), *condition.values]
    for bound, sign in ((condition.low, ">="), (condition.high, "<=")):
        if bound is not None:
            clauses.append(f"({_EXTRACT}) {sign} ?")
            arguments += [*_extract_arguments(condition.name), bound]
