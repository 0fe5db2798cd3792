"""What clients may ask of an experiment, as JSON-ready values: the shapes of the 2.x REST API, and ours.

The 2.x shapes are double-encoded where 2.x was (a metric's ``data`` is JSON text that holds JSON text); ours are plain.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nni.common import json
from nni.common.default_tuner import DEFAULT_TUNER
from nni.common.durations import parse_duration
from nni.common.run_key import key_of
from nni.common.storage_place import storage_place
from nni.store import Metric, Profile, Reader, Trial, TrialStatus, configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


BUDGET = "TRIAL_BUDGET"
"""What advisors as Hyperband add to the parameters: how much a trial is to spend."""


_WEIGHED = 5000
"""Trials from which importance is told at most."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an experiment stands at this moment: what a row of its database alone does not tell."""

    status: str
    errors: list[str]
    counts: Mapping[TrialStatus, int]
    waiting: str | None = None
    """Why no further trial starts."""
    tuner_note: str | None = None
    """What the tuner says of itself."""


class Queries:
    """Answers from the store, for any thread.

    Parameters
    ----------
    directory
        The experiment's directory.
    profile
        The experiment as its manager knows it, or as its database tells.
    at_rest
        Nobody runs the experiment: reading leaves no trace.
    """

    def __init__(self, directory: Path, profile: Profile, *, at_rest: bool = False) -> None:
        self.directory = directory
        self.profile = profile
        self.reader = Reader(directory / "db" / "nni.sqlite", at_rest=at_rest)
        self.why_waiting: Callable[[str], str] = lambda _: "no manager runs; 'nnictl resume' starts it"
        """Returns why a trial that waits does so; a manager knows it, the database does not."""
        self._best_with_budgets: tuple[int, Trial | None] = 0, None  # and up to which revision

    @property
    def maximize(self) -> bool:
        """Whether larger results are better: what the algorithms were told, else what they take by default."""
        return optimize_mode(self.profile.config) == "maximize"

    @property
    def algorithm(self) -> str:
        """Name or class name of what searches."""
        algorithm = _algorithm(self.profile.config)
        return algorithm.get("name") or algorithm.get("className") or ""

    @property
    def has_budgets(self) -> bool:
        """Whether trials have budgets (``TRIAL_BUDGET``), by which results have to be told apart."""
        return bool(self.profile.config.get("advisor"))

    # Ours

    def summary(self, standing: Standing) -> dict[str, Any]:
        """Return everything that a person wants to know first."""
        profile, config = self.profile, self.profile.config
        duration = config.get("maxExperimentDuration")
        return {
            "id": profile.id,
            "name": config.get("experimentName") or "",
            "status": standing.status,
            "errors": standing.errors,
            "platform": ",".join(_platforms(config)),
            "startTime": profile.start_time,
            "endTime": profile.end_time,
            "execDuration": profile.duration_ms / 1000,
            "maxExperimentDuration": None if duration is None else parse_duration(duration),
            "maxTrialNumber": config.get("maxTrialNumber"),
            "trialConcurrency": config.get("trialConcurrency"),
            "optimizeMode": optimize_mode(config),
            "counts": {status.value: number for status, number in standing.counts.items() if number},
            "trials": profile.next_sequence,
            "best": self.best(),
            "revision": self.reader.revision(),
            "waiting": standing.waiting,
            "directory": str(self.directory),
            "tuner": self.algorithm,
            "tunerNote": standing.tuner_note,
        }

    def trial(self, identifier: str) -> dict[str, Any] | None:
        """Return one trial."""
        found = self.reader.trial(identifier)
        if found is None:
            return None
        note, tags = self.reader.notes().get(found.sequence, ("", []))
        return {**self.describe(found), "note": note, "tags": tags}

    def best(self) -> dict[str, Any] | None:
        """Return the best succeeded trial; of an advisor's, the best of those with the largest budget so far."""
        found = self._best_of_largest_budget() if self.has_budgets else self.reader.best(maximize=self.maximize)
        return self.describe(found) if found else None

    def newest_failure(self) -> dict[str, Any] | None:
        """Return the failed trial that was made last."""
        found = self.reader.trials([TrialStatus.FAILED], "-sequence", 1)
        return self.describe(found[0]) if found else None

    def _best_of_largest_budget(self) -> Trial | None:
        """Look only at what changed since the last time: this is asked with every change, on the event loop."""
        before, best = self._best_with_budgets
        revision = self.reader.revision()
        found = self.reader.best_of_largest_budget(maximize=self.maximize, changed_after=before)
        if found is not None and (best is None or self._rank(found) >= self._rank(best)):
            best = found
        self._best_with_budgets = revision, best
        return best

    def _rank(self, trial: Trial) -> tuple[float, float, int]:
        parameters = json.loads(trial.parameters)
        budget = parameters.get(BUDGET) if isinstance(parameters, dict) else None
        value = trial.value if trial.value is not None else -math.inf
        return (
            budget if isinstance(budget, (int, float)) else -math.inf,
            value if self.maximize else -value,
            -trial.sequence,
        )

    def importance(self) -> dict[str, Any]:
        """Return how much each parameter decided, the most important first, or why that cannot be told.

        Of very many trials a random part decides: it tells the same, and a manager has other things to do meanwhile.
        """
        from nni.experiment import importance  # noqa: PLC0415 - numpy, needed only here

        mode = optimize_mode(self.profile.config)
        try:
            results = self.export()
            if len(results) > _WEIGHED:
                results = random.Random(0).sample(results, _WEIGHED)  # noqa: S311 - no secret
            found = importance.parameter_importance(results, mode)
        except importance.ImportanceError as error:
            return {"optimizeMode": mode, "items": [], "reason": str(error)}
        return {"optimizeMode": mode, "items": [one._asdict() for one in found], "reason": None}

    def trials(
        self, statuses: list[TrialStatus] | None, order: str, limit: int, offset: int, after: int
    ) -> dict[str, Any]:
        """Return a page of trials."""
        revision = self.reader.revision()  # first: what changes meanwhile is told again, never left out
        items = self.reader.trials(statuses, order, limit, offset, after)
        total = self.reader.number(statuses)
        return {"total": total, "revision": revision, "items": [self.describe(item) for item in items]}

    def trial_metrics(self, sequence: int) -> list[dict[str, Any]]:
        """Return what one trial reported."""
        return [
            {
                "type": metric.type,
                "sequence": metric.sequence,
                "timestamp": metric.timestamp,
                "value": json.strict(json.loads(metric.value)),
            }
            for _, metric in self.reader.metrics(sequences=(sequence, sequence))
        ]

    def describe(self, trial: Trial) -> dict[str, Any]:
        """Return a trial with everything that is known of it."""
        return {
            "id": trial.id,
            "sequence": trial.sequence,
            "status": trial.status.value,
            "message": self._message(trial),
            "submitTime": trial.submit_time,
            "startTime": trial.start_time,
            "endTime": trial.end_time,
            "parameters": json.strict(json.loads(trial.parameters)),
            "parameterId": None if trial.parameter_id < 0 else trial.parameter_id,
            "source": trial.source,
            "value": None if trial.final is None else json.strict(json.loads(trial.final)),
            "metric": trial.value,
            "intermediates": trial.intermediates,
            "exitCode": trial.exit_code,
            "directory": str(self._trial_directory(trial)),
            "service": trial.service,
            "runs": trial.run,
            "storage": self._storage(trial),
        }

    # 2.x

    def profile_2x(self) -> dict[str, Any]:
        """Return the profile as the 2.x API did (with the v2 configuration, without its secrets, in ``params``)."""
        from nni.config import ExperimentConfig  # noqa: PLC0415 - pydantic, needed only here

        profile = self.profile
        answer = {
            "id": profile.id,
            "revision": profile.revision,
            "execDuration": profile.duration_ms // 1000,
            "logDir": str(self.directory),
            "nextSequenceId": profile.next_sequence,
            "params": ExperimentConfig.from_dict(profile.config).redacted(),
            "startTime": profile.start_time,
        }
        return answer if profile.end_time is None else {**answer, "endTime": profile.end_time}

    def trial_jobs(self, statuses: list[TrialStatus] | None) -> Iterator[dict[str, Any]]:
        """Yield the trials as 2.x did."""
        return (self.trial_job(item) for item in self.reader.trials(statuses))

    def trial_job(self, trial: Trial) -> dict[str, Any]:
        """Return a trial as 2.x did."""
        directory = self._trial_directory(trial)
        job: dict[str, Any] = {
            "trialJobId": trial.id,
            "sequenceId": trial.sequence,
            "status": trial.status.value,
            "message": self._message(trial),
            "hyperParameters": [configuration(trial)],
            "logPath": str(directory),
        }
        if trial.start_time is not None:
            job["startTime"] = trial.start_time
        if trial.end_time is not None:
            job["endTime"] = trial.end_time
        if trial.status is TrialStatus.FAILED:
            job["stderrPath"] = str(directory / "stderr")
        if trial.status is TrialStatus.SUCCEEDED and trial.final is not None:
            metric = Metric(trial.sequence, 0, "FINAL", 0, trial.end_time or 0, trial.parameter_id, trial.final)
            job["finalMetricData"] = [metric_record(trial.id, metric)]
        return job

    def metric_records(
        self, kind: str | None, sequences: tuple[int, int] | None = None, *, latest: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield results as 2.x did."""
        for identifier, metric in self.reader.metrics(kind, sequences, latest=latest):
            yield metric_record(identifier, metric)

    def export(self) -> list[dict[str, Any]]:
        """Return parameters and final result of each succeeded trial, ready to be imported elsewhere."""
        return [
            {
                "parameter": json.loads(trial.parameters),
                "value": json.loads(trial.final),
                "trialJobId": trial.id,
            }
            for trial in self.reader.trials([TrialStatus.SUCCEEDED])
            if trial.final is not None
        ]

    def _message(self, trial: Trial) -> str:
        return trial.message or (self.why_waiting(trial.id) if trial.status is TrialStatus.WAITING else "")

    def _storage(self, trial: Trial) -> str | None:
        """Return where a trial's directory is on the shared storage; None for one that is on none."""
        config = self.profile.config
        storage = config.get("sharedStorage")
        is_here = isinstance(config.get("trainingService"), list) and trial.service.rpartition("-")[2] == "local"
        return (
            None if storage is None or is_here else storage_place(storage, self.profile.id, key_of(trial.id, trial.run))
        )

    def _trial_directory(self, trial: Trial) -> Path:
        return self.directory / "trials" / trial.id


def metric_record(identifier: str, metric: Metric) -> dict[str, Any]:
    """Return a result as 2.x did; ``data`` is encoded twice."""
    return {
        "timestamp": metric.timestamp,
        "trialJobId": identifier,
        "parameterId": str(metric.parameter_id) if metric.parameter_id >= 0 else "",
        "type": metric.type,
        "sequence": metric.sequence,
        "data": json.dumps(metric.value),
    }


def optimize_mode(config: dict[str, Any]) -> str:
    """Return whether an experiment wants larger or smaller results: what it says, else what its algorithms were told.

    A tuner need not know, as GridSearch or one of the user's own; then what the assessor was told counts.
    """
    told = [((config.get(kind) or {}).get("classArgs") or {}) for kind in ("advisor", "tuner", "assessor")]
    modes = [config.get("optimizeMode"), *(arguments.get("optimize_mode") for arguments in told)]
    return "minimize" if next(filter(None, modes), "maximize") == "minimize" else "maximize"


def _algorithm(config: dict[str, Any]) -> dict[str, Any]:
    """Return what searches: the advisor, else the tuner, else the default."""
    return config.get("advisor") or config.get("tuner") or {"name": DEFAULT_TUNER}


def _platforms(config: dict[str, Any]) -> list[str]:
    services = config.get("trainingService") or []
    return [item["platform"] for item in (services if isinstance(services, list) else [services])]
