"""From lines of a trial's metric file to rows of the store."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nni.common import json
from nni.runtime.protocol import MetricType
from nni.store import RUN_SPAN, Metric, Trial

_KINDS = {MetricType.PERIODICAL, MetricType.FINAL, MetricType.REQUEST_PARAMETER}
_LARGEST = 2**63 - 1  # what the database holds


@dataclass(slots=True)
class Reading:
    """What some lines held."""

    metrics: list[Metric] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_lines(trial: Trial, lines: list[tuple[int, bytes]]) -> Reading:
    """Turn lines into rows and update the trial's own figures; lines before ``trial.offset`` are repetitions."""
    reading = Reading()
    for position, line in lines:
        if position < trial.offset or not line:
            continue
        try:
            metric = _parse(trial, position, line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            place = position % RUN_SPAN
            reading.problems.append(
                f"trial {trial.id}: skipped the line at byte {place} of .nni/metrics, which is no metric ({error!r})"
            )
            continue
        reading.metrics.append(metric)
        if metric.type == MetricType.FINAL:
            trial.final = metric.value
            trial.value = default_metric(json.loads(metric.value))
        else:
            trial.intermediates += 1
    return reading


def _parse(trial: Trial, position: int, line: bytes) -> Metric:
    record = json.loads(line)
    kind = record["type"]
    if kind not in _KINDS:
        raise ValueError(f"unknown type {kind!r}")
    sequence, timestamp = int(record["sequence"]), int(record["timestamp"])
    if max(abs(sequence), abs(timestamp)) > _LARGEST:
        raise ValueError("sequence and timestamp must fit into 64 bits")
    return Metric(
        trial.sequence,
        position,
        kind,
        sequence,
        timestamp,
        trial.parameter_id,
        json.dumps(record["value"]),
    )


def default_metric(value: Any) -> float | None:
    """Return the number that a metric is ranked by: itself or its ``default``; None if there is no finite one."""
    if isinstance(value, dict):
        value = value.get("default")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        return None
    return number if math.isfinite(number) else None
