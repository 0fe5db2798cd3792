"""Curves of intermediate results, cut down on the server to what a chart can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nni.common import json
from nni.store import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nni.experiment.queries import Queries

__all__ = ["curves", "thinned"]

_POINTS = 200  # of one curve
_RUNNING = 50  # curves of running trials beside the best


def curves(
    queries: Queries,
    *,
    sequences: list[int] | None = None,
    top: int = 50,
    key: str = "default",
    window: tuple[int, float, float] | None = None,
) -> dict[str, Any]:
    """Return the curves of some trials.

    Parameters
    ----------
    queries
        The experiment.
    sequences
        Numbers of the trials; default those of the best `top` trials and of running ones.
    top
        Largest number of curves, without those of running trials.
    key
        Which value of results that are objects.
    window
        ``(step, low, high)``: only trials whose result of that step (counted from 0) lies in the closed range.

    Returns
    -------
    dict
        ``{"keys": names in results that are objects, "matching": number of trials in the window or null,
        "curves": [{"sequence", "id", "status", "metric", "steps", "values"}]}``, best trial first.
    """
    matching = None if window is None else _matching(queries, key, *window)
    chosen = _chosen(queries, sequences, top, matching)
    found: dict[int, tuple[list[int], list[float]]] = {trial: ([], []) for trial in chosen}
    keys: set[str] = set()
    for trial, step, text in queries.reader.intermediates(chosen):
        value = json.loads(text)
        if isinstance(value, dict):
            keys.update(value)
        number = _number(value, key)
        if number is not None:
            steps, values = found[trial]
            steps.append(step)
            values.append(number)
    trials = {trial.sequence: trial for trial in queries.reader.numbered(chosen)}
    described = [
        {
            "sequence": sequence,
            "id": trials[sequence].id,
            "status": trials[sequence].status.value,
            "metric": trials[sequence].value,
            **dict(zip(("steps", "values"), thinned(*found[sequence], _POINTS), strict=True)),
        }
        for sequence in chosen
        if sequence in trials
    ]
    return {"keys": sorted(keys), "matching": None if matching is None else len(matching), "curves": described}


def thinned(steps: Sequence[int], values: Sequence[float], most: int) -> tuple[list[int], list[float]]:
    """Return at most `most` points of a curve: the first, the last, and the extremes of each stretch between."""
    if len(steps) <= most:
        return list(steps), list(values)
    inner = range(1, len(steps) - 1)
    buckets = (most - 2) // 2
    kept = [0]
    for bucket in range(buckets):
        stretch = inner[bucket * len(inner) // buckets : (bucket + 1) * len(inner) // buckets]
        extremes = {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
        kept += sorted(extremes)
    kept.append(len(steps) - 1)
    return [steps[place] for place in kept], [float(f"{values[place]:.6g}") for place in kept]


def _chosen(queries: Queries, sequences: list[int] | None, top: int, matching: set[int] | None) -> list[int]:
    if sequences is not None:
        return [number for number in sequences if matching is None or number in matching]
    ranked = queries.reader.ranked(maximize=queries.maximize, budgets=queries.has_budgets)
    if matching is not None:
        unranked = sorted(matching - set(ranked))  # stopped early, or running
        return [*(number for number in ranked if number in matching), *unranked][:top]
    running = [trial.sequence for trial in queries.reader.trials([TrialStatus.RUNNING], "-sequence", _RUNNING)]
    return list(dict.fromkeys([*ranked[:top], *running]))


def _matching(queries: Queries, key: str, step: int, low: float, high: float) -> set[int]:
    found = set()
    for trial, text in queries.reader.intermediates_at(step):
        number = _number(json.loads(text), key)
        if number is not None and low <= number <= high:
            found.add(trial)
    return found


def _number(value: Any, key: str) -> float | None:
    if isinstance(value, dict):
        value = value.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
