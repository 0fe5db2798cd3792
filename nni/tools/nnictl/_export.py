"""Files of ``nnictl experiment export`` (PLT-045); the JSON one is what ``experiment import`` reads (PLT-380)."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nni.experiment.data import TrialMetricData, TrialResult

_FIXED = ("trialJobId", "reward", "intermediate")


def write_json(path: Path, results: Iterable[TrialResult], metrics: Iterable[TrialMetricData] | None) -> None:
    """Write a list of ``{"parameter", "value", "trialJobId"}``, with ``"intermediate"`` if metrics are given."""
    records: list[dict[str, Any]] = [result._asdict() for result in results]
    if metrics is not None:
        series = _series(metrics)
        for record in records:
            record["intermediate"] = series.get(record["trialJobId"], [])
    path.write_text(json.dumps(records, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, results: Sequence[TrialResult], metrics: Iterable[TrialMetricData] | None) -> None:
    """Write one row per trial: id, reward, the other reported numbers, intermediate results, then the parameters.

    ``reward`` is the number or its ``default``. A parameter whose name another column bears already gets
    ``parameter.`` before it, a reported number ``metric.``. Lists and dicts are JSON text.
    """
    fixed = list(_FIXED if metrics is not None else _FIXED[:2])
    series = _series(metrics or ())
    others = _keys(result.value for result in results)
    names = _keys(result.parameter for result in results)
    taken = {*fixed, *(f"metric.{name}" for name in others)}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            [*fixed, *(f"metric.{name}" for name in others if name != "default")]
            + [f"parameter.{name}" if name in taken else name for name in names]
        )
        for result in results:
            value = result.value if isinstance(result.value, dict) else {"default": result.value}
            head = [result.trialJobId, value.get("default"), series.get(result.trialJobId, [])][: len(fixed)]
            body = [value.get(name) for name in others if name != "default"]
            writer.writerow(map(_cell, [*head, *body, *(_parameter(result, name) for name in names)]))


def _keys(dicts: Iterable[Any]) -> list[str]:
    """Return all keys that occur, in the order in which they appear first."""
    return list(dict.fromkeys(str(key) for item in dicts if isinstance(item, dict) for key in item))


def _parameter(result: TrialResult, name: str) -> Any:
    return result.parameter.get(name) if isinstance(result.parameter, dict) else None


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list, bool)) else value


def _series(metrics: Iterable[TrialMetricData]) -> Mapping[str, list[Any]]:
    """Return the intermediate results of each trial in the order of their sequence numbers."""
    series = defaultdict[str, list[Any]](list)
    for metric in sorted(metrics, key=lambda item: item.sequence):
        series[metric.trialJobId].append(metric.data)
    return series
