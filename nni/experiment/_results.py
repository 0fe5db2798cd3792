"""What is left of an experiment when its manager has gone: read from its database, which holds all of it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nni.experiment.data import TrialHyperParameters, TrialJob, TrialMetricData, TrialResult
from nni.store import Metric, Reader, StoreError, Trial, TrialStatus

if TYPE_CHECKING:
    from pathlib import Path

    from nni.experiment.client import NniClient


@dataclass(frozen=True)
class Results:
    """Profile, trials and everything that they reported."""

    profile: dict[str, Any]
    exported: list[TrialResult]
    jobs: list[TrialJob]
    metrics: list[TrialMetricData]


def ask(client: NniClient) -> Results:
    """Return the results as the manager tells them; it must be running."""
    return Results(client.profile(), client.export_data(), client.trial_jobs(), client.metric_data())


def read(directory: Path, profile: dict[str, Any]) -> Results | None:
    """Return the results as they are on the disk, None if they cannot be read here.

    Parameters
    ----------
    directory
        The experiment's directory.
    profile
        As the manager told it; the database has the config with its secrets.
    """
    try:
        return _read(Reader(directory / "db" / "nni.sqlite"), directory, profile)
    except (StoreError, sqlite3.Error, OSError):
        return None


def _read(reader: Reader, directory: Path, profile: dict[str, Any]) -> Results:
    trials = reader.trials()
    metrics = [_metric(identifier, metric) for identifier, metric in reader.metrics()]
    jobs = [_job(trial, directory / "trials" / trial.id) for trial in trials]
    exported = [
        TrialResult(json.loads(trial.parameters), json.loads(trial.final), trial.id)
        for trial in trials
        if trial.status is TrialStatus.SUCCEEDED and trial.final is not None
    ]
    return Results(profile, exported, jobs, metrics)


def _metric(identifier: str, metric: Metric) -> TrialMetricData:
    parameter_id = str(metric.parameter_id) if metric.parameter_id >= 0 else ""
    value = json.loads(metric.value)
    return TrialMetricData(metric.timestamp, identifier, parameter_id, metric.type, metric.sequence, value)


def _job(trial: Trial, directory: Path) -> TrialJob:
    """Return a trial as ``GET /trial-jobs`` does, which dates the final result at the trial's end."""
    final = Metric(trial.sequence, 0, "FINAL", 0, trial.end_time or 0, trial.parameter_id, trial.final or "null")
    has_result = trial.status is TrialStatus.SUCCEEDED and trial.final is not None
    configuration = {
        "parameter_id": trial.parameter_id if trial.parameter_id >= 0 else None,
        "parameter_source": trial.source,
        "parameters": json.loads(trial.parameters),
        "parameter_index": trial.parameter_index,
    }
    return TrialJob(
        trialJobId=trial.id,
        status=trial.status.value,
        hyperParameters=[TrialHyperParameters.from_json(configuration)],
        logPath=str(directory),
        startTime=trial.start_time,
        endTime=trial.end_time,
        finalMetricData=[_metric(trial.id, final)] if has_result else [],
        stderrPath=str(directory / "stderr") if trial.status is TrialStatus.FAILED else None,
        sequenceId=trial.sequence,
        message=trial.message,
    )
