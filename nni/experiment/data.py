"""What an experiment answers, as typed objects with the documented field names (PLT-207, 208)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BestTrial",
    "ExperimentSummary",
    "MetricRow",
    "TrialHyperParameters",
    "TrialJob",
    "TrialMetricData",
    "TrialResult",
    "TrialRow",
    "default_metric",
]

_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class TrialResult(NamedTuple):
    """Final result of one succeeded trial: ``value`` is what the trial reported, a number or a dict."""

    parameter: dict[str, Any]
    value: Any
    trialJobId: str  # noqa: N815 - documented name

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialResult:
        """Read one item of ``GET /export-data``, whose fields are plain JSON: a text stays the text it is."""
        return cls(raw["parameter"], raw["value"], raw["trialJobId"])


class BestTrial(NamedTuple):
    """The succeeded trial with the best result: ``value`` is what it reported, a number or a dict."""

    parameters: dict[str, Any]
    value: Any
    trial_id: str

    @classmethod
    def from_row(cls, row: TrialRow) -> BestTrial:
        """Read the best trial of ``GET /summary``."""
        return cls(row["parameters"], row["value"], row["id"])


class TrialMetricData(NamedTuple):
    """One reported result: ``timestamp`` in epoch milliseconds, ``type`` FINAL or PERIODICAL, ``data`` decoded."""

    timestamp: int
    trialJobId: str  # noqa: N815 - documented name
    parameterId: str  # noqa: N815 - documented name
    type: str
    sequence: int
    data: Any

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialMetricData:
        """Read one metric record, whose ``data`` is JSON text inside JSON text."""
        return cls(
            timestamp=raw["timestamp"],
            trialJobId=raw["trialJobId"],
            parameterId=str(raw["parameterId"]),
            type=raw["type"],
            sequence=raw["sequence"],
            data=_decoded(_decoded(raw["data"])),
        )


class TrialHyperParameters(NamedTuple):
    """One parameter set as the tuner made it."""

    parameter_id: int
    parameter_source: str
    parameters: dict[str, Any]
    parameter_index: int = 0

    @classmethod
    def from_json(cls, raw: str | Mapping[str, Any]) -> TrialHyperParameters:
        """Read one item of ``hyperParameters``, which is JSON text."""
        data = _decoded(raw)
        return cls(
            parameter_id=data["parameter_id"],
            parameter_source=data.get("parameter_source", "algorithm"),
            parameters=data["parameters"],
            parameter_index=data.get("parameter_index", 0),
        )


class TrialJob(NamedTuple):
    """One trial: times in epoch milliseconds, None where it has not come to that."""

    trialJobId: str  # noqa: N815 - documented name
    status: str
    hyperParameters: list[TrialHyperParameters]  # noqa: N815 - documented name
    logPath: str | None  # noqa: N815 - documented name
    startTime: int | None  # noqa: N815 - documented name
    endTime: int | None  # noqa: N815 - documented name
    finalMetricData: list[TrialMetricData]  # noqa: N815 - documented name
    stderrPath: str | None  # noqa: N815 - documented name
    sequenceId: int | None = None  # noqa: N815 - documented name
    message: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialJob:
        """Read one trial job info (REST 3.2)."""
        return cls(
            trialJobId=raw["trialJobId"],
            status=raw["status"],
            hyperParameters=[TrialHyperParameters.from_json(item) for item in raw.get("hyperParameters") or []],
            logPath=raw.get("logPath"),
            startTime=raw.get("startTime"),
            endTime=raw.get("endTime"),
            finalMetricData=[TrialMetricData.from_json(item) for item in raw.get("finalMetricData") or []],
            stderrPath=raw.get("stderrPath"),
            sequenceId=raw.get("sequenceId"),
            message=raw.get("message") or "",
        )


class TrialRow(TypedDict):
    """One trial of ``GET /trials``."""

    id: str
    sequence: int
    status: str
    message: str
    submitTime: int
    startTime: int | None
    endTime: int | None
    parameters: dict[str, Any]
    parameterId: int
    source: str
    value: Any
    intermediates: int
    exitCode: int | None
    directory: str
    service: str
    runs: int


class MetricRow(TypedDict):
    """One result of ``GET /trials/{id}/metrics``."""

    type: str
    sequence: int
    timestamp: int
    value: Any


class ExperimentSummary(TypedDict):
    """``GET /summary``: times in epoch milliseconds, durations in seconds."""

    id: str
    name: str
    status: str
    errors: list[str]
    platform: str
    startTime: int
    endTime: int | None
    execDuration: float
    maxExperimentDuration: float | None
    maxTrialNumber: int | None
    trialConcurrency: int
    optimizeMode: str
    counts: dict[str, int]
    trials: int
    best: TrialRow | None
    revision: int
    waiting: str | None
    directory: str
    tuner: str | None
    tunerNote: str | None


def default_metric(value: Any) -> float | None:
    """Return the number that counts of a reported value: itself or its ``default`` (PLT-163), else None."""
    if isinstance(value, dict):
        value = value.get("default")
    if isinstance(value, str):
        value = _NON_FINITE.get(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _decoded(value: Any) -> Any:
    """Decode JSON text; what is no JSON text is the value itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
