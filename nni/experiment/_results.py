"""What is left of an experiment when its manager has gone: read from its database, which holds all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nni.experiment.stored import StoredExperiment
from nni.store import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from nni.experiment.client import NniClient
    from nni.experiment.data import TrialJob, TrialMetricData, TrialResult, TrialRow


@dataclass(frozen=True)
class Results:
    """Profile, trials and everything that they reported."""

    profile: dict[str, Any]
    exported: list[TrialResult]
    jobs: list[TrialJob]
    metrics: list[TrialMetricData]
    best: TrialRow | None = None


def ask(client: NniClient) -> Results:
    """Return the results as the manager tells them; it must be running."""
    return _collected(client, client.profile())


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
        with StoredExperiment(directory) as stored:
            return _collected(stored, profile)
    except (StoreError, OSError):
        return None


def _collected(source: NniClient | StoredExperiment, profile: dict[str, Any]) -> Results:
    best = source.summary()["best"]
    return Results(profile, source.export_data(), source.trial_jobs(), source.metric_data(), best)
