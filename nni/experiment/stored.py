"""An experiment without a manager, read from its database: the answers that its manager would give.

Same methods and same shapes as :class:`~nni.experiment.client.NniClient`, so that nobody has to resume an experiment to
look at its results. Nothing is written.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import sqlite3
from typing import TYPE_CHECKING, Any, cast

from nni.common.errors import NniError
from nni.experiment.data import TrialJob, TrialMetricData, TrialResult
from nni.experiment.queries import Queries, Standing
from nni.store import Profile, Store, StoreError, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from nni.experiment.data import ExperimentSummary, TrialRow

__all__ = ["StoredExperiment", "no_such_trial"]


class StoredExperiment:
    """What is on the disk of a stopped experiment.

    Parameters
    ----------
    directory
        The experiment's own directory.

    Raises
    ------
    StoreError
        Also from every method: there is no database, or it cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        profile, self._counts = read_profile(directory)
        self.queries = Queries(directory, profile, at_rest=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.queries.reader.close()

    # The experiment

    def check_status(self) -> tuple[str, list[str]]:
        """Return ``STOPPED`` and the error messages of the experiment."""
        return "STOPPED", self.queries.profile.errors

    def summary(self) -> ExperimentSummary:
        """Return the state of the experiment at a glance."""
        standing = Standing(*self.check_status(), self._counts)
        with _disk_faults(self.queries.directory):
            return cast("ExperimentSummary", self.queries.summary(standing))

    def importance(self) -> dict[str, Any]:
        """Return how much each parameter decided about the results."""
        with _disk_faults(self.queries.directory):
            return self.queries.importance()

    def profile(self) -> dict[str, Any]:
        """Return the experiment profile (REST 3.1)."""
        return self.queries.profile_2x()

    # Trials

    def trials(self, *, status: str | None = None, order: str = "sequence", limit: int | None = None) -> list[TrialRow]:
        """Return trials; parameters as those of the client."""
        statuses = [TrialStatus(status)] if status else None
        with _disk_faults(self.queries.directory):
            page = self.queries.trials(statuses, order, -1 if limit is None else limit, 0, 0)
        return cast("list[TrialRow]", page["items"])

    def trial(self, trial_job_id: str) -> TrialRow:
        """Return one trial."""
        with _disk_faults(self.queries.directory):
            found = self.queries.trial(trial_job_id)
            if found is None:
                raise NniError(no_such_trial(trial_job_id, self.queries.reader.identifiers()))
        return cast("TrialRow", found)

    def trial_jobs(self, status: str | None = None) -> list[TrialJob]:
        """Return all trials, or those in one status."""
        with _disk_faults(self.queries.directory):
            return [
                TrialJob.from_json(job) for job in self.queries.trial_jobs([TrialStatus(status)] if status else None)
            ]

    def metric_data(self, trial_job_id: str | None = None, kind: str | None = None) -> list[TrialMetricData]:
        """Return results of one or all trials; ``kind`` FINAL or PERIODICAL, default both."""
        sequences = None
        if trial_job_id is not None:
            sequence = self.trial(trial_job_id)["sequence"]
            sequences = (sequence, sequence)
        with _disk_faults(self.queries.directory):
            return [TrialMetricData.from_json(item) for item in self.queries.metric_records(kind, sequences)]

    def export_data(self) -> list[TrialResult]:
        """Return parameters and final result of every succeeded trial."""
        with _disk_faults(self.queries.directory):
            return [TrialResult.from_json(item) for item in self.queries.export()]


def read_profile(directory: Path) -> tuple[Profile, dict[TrialStatus, int]]:
    """Return the profile of an experiment and the number of its trials in each status; nothing is written."""
    path = directory / "db" / "nni.sqlite"
    with _disk_faults(directory), contextlib.closing(Store(path, read_only=True, at_rest=True)) as store:
        profile, counts = store.profile(), store.counts()
    if profile is None:
        raise StoreError(f"{path}: holds no experiment; its manager never came as far as that")
    return profile, counts


def history(directory: Path) -> dict[str, Any]:
    """Return how the best result of an experiment developed, whether it runs or not.

    Of an advisor's trials only those of the largest budget so far count (HPO-324).

    Parameters
    ----------
    directory
        The experiment's own directory.

    Returns
    -------
    dict
        ``{"id", "name", "tuner", "maximize", "trials", "best": [[trial number, seconds since the start, best so
        far]]}``; only where it improved, and once more at the end.

    Raises
    ------
    StoreError
        There is no database, or it cannot be read.
    """
    profile, counts = read_profile(directory)
    queries = Queries(directory, profile, at_rest=True)
    with _disk_faults(directory):
        results = queries.reader.results(budgets=queries.has_budgets)
        queries.reader.close()  # this thread serves other requests later
    better = max if queries.maximize else min
    best = list[list[float]]()
    largest = -math.inf
    for place, (sequence, end, value, spent) in enumerate(results):
        budget = -math.inf if spent is None else spent
        if not best or budget > largest:
            reached, largest = value, budget
        else:
            reached = better(best[-1][2], value) if budget == largest else best[-1][2]
        if not best or reached != best[-1][2] or place == len(results) - 1:
            best.append([sequence, max(0, end - profile.start_time) / 1000, reached])
    return {
        "id": profile.id,
        "name": profile.config.get("experimentName") or "",
        "tuner": queries.algorithm,
        "maximize": queries.maximize,
        "trials": sum(counts.values()),
        "best": best,
    }


def no_such_trial(trial_id: str, known: list[str], experiment_id: str = "") -> str:
    """Return what to say of an id that no trial has, with the ids that are meant perhaps."""
    near = difflib.get_close_matches(trial_id, known, n=3, cutoff=0.4)
    where = f"experiment {experiment_id} has " if experiment_id else ""
    return f"{where}no trial {trial_id!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")


@contextlib.contextmanager
def _disk_faults(directory: Path) -> Iterator[None]:
    """Make one line of a database that turns out to be damaged while it is read."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{directory / 'db' / 'nni.sqlite'}: cannot be read ({error})") from error
