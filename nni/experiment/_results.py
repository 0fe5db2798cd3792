"""What is left of an experiment when its manager has gone: read from its database, which holds all of it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nni.experiment.data import TrialHyperParameters, TrialJob, TrialMetricData, TrialResult
from nni.store import Reader, StoreError, Trial, TrialStatus

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
    reader = Reader(directory / "db" / "nni.sqlite")
    with contextlib.suppress(StoreError, sqlite3.Error, OSError):
        trials = reader.trials()
        metrics = [
            TrialMetricData(metric.timestamp, trial, _parameter_id(metric.parameter_id), metric.type, metric.sequence,
                            json.loads(metric.value))
            for trial, metric in reader.metrics()
        ]
        exported = [
            TrialResult(json.loads(trial.parameters), json.loads(trial.final), trial.id)
            for trial in trials
            if trial.status is TrialStatus.SUCCEEDED and trial.final is not None
        ]
        return Results(profile, exported, [_job(trial, directory, metrics) for trial in trials], metrics)
    return None
