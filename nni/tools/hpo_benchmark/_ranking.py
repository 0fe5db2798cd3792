"""Ranks tuners by what they reached in the end, as the documentation's tables do (HPO-423, X-26)."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from nni.tools.hpo_benchmark._tasks import SMALLER_IS_BETTER


@dataclass
class Result:
    """What one tuner reached on one fold of one task.

    Attributes
    ----------
    scores
        Test metrics of the best configuration; empty if there is none.
    trace
        ``(cost, score)`` of each evaluation, the larger the better; the score is None where it failed.
    problem
        Why there is no result; empty if there is one.
    """

    tuner: str
    task: str
    fold: int
    seed: int
    metric: str
    scores: dict[str, float] = field(default_factory=dict)
    trace: list[tuple[float, float | None]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""


def ranks(results: list[Result]) -> dict[str, dict[str, float]]:
    """Return for each metric the average rank of each tuner over tasks, folds and seeds; 1 is the best.

    Equal results share the mean of their places. A tuner that failed on a task comes last there; one that refused the
    search space of every task has no rank.
    """
    able = {result.tuner for result in results if not result.problem}
    groups: dict[tuple[str, str, int, int], list[Result]] = defaultdict(list)
    for result in results:
        if result.tuner in able:
            groups[result.metric, result.task, result.fold, result.seed].append(result)
    places: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (metric, *_), group in groups.items():
        for tuner, place in _places(group).items():
            places[metric][tuner].append(place)
    return {
        metric: {tuner: sum(values) / len(values) for tuner, values in tuners.items()}
        for metric, tuners in places.items()
    }


def _places(group: list[Result]) -> dict[str, float]:
    losses = {result.tuner: _loss(result) for result in group}
    return {
        tuner: sum(other < loss for other in losses.values()) + (sum(o == loss for o in losses.values()) + 1) / 2
        for tuner, loss in losses.items()
    }


def _loss(result: Result) -> float:
    value = result.scores.get(result.metric, math.nan)
    if math.isnan(value):
        return math.inf
    return value if result.metric in SMALLER_IS_BETTER else -value
