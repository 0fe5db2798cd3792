"""One experiment as its server sees it: the engine, the questions, and what a person may change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nni.common import json
from nni.config import ExperimentConfig, load_search_space
from nni.manager import events as ev
from nni.manager.engine import Engine
from nni.manager.queries import Queries
from nni.server.imports import checked_import
from nni.server.refused import RefusedError
from nni.store import ExperimentStatus, TrialStatus

UPDATES = {
    "TRIAL_CONCURRENCY": "trialConcurrency",
    "MAX_EXEC_DURATION": "maxExperimentDuration",
    "SEARCH_SPACE": "searchSpace",
    "MAX_TRIAL_NUM": "maxTrialNumber",
}
"""What a running experiment lets a person change, by the documented names of the REST API."""


class RunningExperiment:
    """What REST, event stream and page work with."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory
        self.profile = engine.state.profile
        self.queries = Queries(directory, self.profile)
        self.changed = asyncio.Event()
        """Set at the next change; every change puts a new event in its place."""
        self.stop_requested = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether the experiment has stopped for good."""
        return self.engine.state.status is ExperimentStatus.STOPPED

    def announce(self) -> None:
        """Wake everybody who waits for a change."""
        waiting, self.changed = self.changed, asyncio.Event()
        waiting.set()

    def request_stop(self) -> None:
        """Have the whole manager end cleanly."""
        self.stop_requested.set()

    def redacted_config(self) -> dict[str, Any]:
        """Return the configuration without its secrets."""
        return ExperimentConfig.from_dict(self.profile.config).redacted()

    def profile_2x(self) -> dict[str, Any]:
        """Return the profile as the 2.x API did (with the v2 configuration in ``params``)."""
        profile = self.profile
        answer = {
            "id": profile.id,
            "revision": profile.revision,
            "execDuration": profile.duration_ms // 1000,
            "logDir": str(self.directory),
            "nextSequenceId": profile.next_sequence,
            "params": self.redacted_config(),
            "startTime": profile.start_time,
        }
        return answer if profile.end_time is None else {**answer, "endTime": profile.end_time}

    def summary(self) -> dict[str, Any]:
        """Return everything that a person wants to know first."""
        state, profile = self.engine.state, self.profile
        services = profile.config["trainingService"]
        platforms = [item["platform"] for item in (services if isinstance(services, list) else [services])]
        return {
            "id": profile.id,
            "name": profile.config.get("experimentName") or "",
            "status": self.engine.status.value,
            "errors": self.engine.errors,
            "platform": ",".join(platforms),
            "startTime": profile.start_time,
            "endTime": profile.end_time,
            "execDuration": profile.duration_ms / 1000,
            "maxExperimentDuration": state.limits.duration,
            "maxTrialNumber": state.limits.trials,
            "trialConcurrency": state.limits.concurrency,
            "optimizeMode": "maximize" if self.queries.maximize else "minimize",
            "counts": {status.value: number for status, number in state.counts.items() if number},
            "trials": profile.next_sequence,
            "best": self.queries.best(),
            "revision": self.queries.reader.revision(),
            "waiting": self.engine.fault or state.waiting(),
            "directory": str(self.directory),
            "tuner": _algorithm_name(profile.config),
        }

    def update(self, update_type: str, params: dict[str, Any]) -> None:
        """Change one setting; raises `RefusedError` or ``ConfigError`` with the reason."""
        field = UPDATES.get(update_type)
        if field is None:
            raise RefusedError(f"update_type {update_type!r} is unknown; one of {', '.join(UPDATES)}")
        if field not in params:
            raise RefusedError(f"the body has no params.{field}")
        self._refuse_if_held()
        changed = {**self.profile.config, field: params[field]}
        if params[field] is None:
            del changed[field]
        if field == "searchSpace":
            changed.pop("searchSpaceFile", None)
        config = ExperimentConfig.from_dict(changed)
        if field == "searchSpace":
            config.validate()
        self.engine.handle(ev.ConfigChanged(complete(config), field))

    def kill_trial(self, identifier: str) -> None:
        """Have a trial ended; raises ``KeyError`` for an unknown id."""
        trial = self.queries.reader.trial(identifier)
        if trial is None:
            raise KeyError(identifier)
        if trial.status.ended:
            raise RefusedError(f"trial {identifier} has ended already ({trial.status.value})")
        self._refuse_if_held()
        self.engine.handle(ev.KillRequested(identifier, TrialStatus.USER_CANCELED, "killed by the user"))

    def add_trial(self, parameters: Any) -> int:
        """Queue a configuration of a person's own; returns its sequence number."""
        if not isinstance(parameters, dict) or not parameters:
            raise RefusedError("the parameters of a trial must be a JSON object with at least one key")
        self._refuse_if_held()
        if self.engine.state.status is ExperimentStatus.ERROR:
            raise RefusedError("the experiment is in ERROR and starts no trial")
        if self.engine.state.trials_left() == 0:
            raise RefusedError("maxTrialNumber is reached; raise it first")
        self.engine.handle(ev.CustomTrialRequested(json.dumps(parameters)))
        return self.profile.next_sequence - 1

    def import_data(self, data: Any) -> None:
        """Hand results from elsewhere to the tuner."""
        self._refuse_if_held()
        self.engine.handle(ev.ImportRequested(checked_import(data, self.profile.config.get("searchSpace"))))

    def _refuse_if_held(self) -> None:
        if self.engine.state.stopping:
            raise RefusedError("the experiment is being stopped")
        if self.engine.fault:  # an answer would have to wait until the disk takes the change
            raise RefusedError(self.engine.fault)


def complete(config: ExperimentConfig) -> dict[str, Any]:
    """Return the canonical configuration with the search space in it, wherever it was written."""
    canonical = config.canonical()
    if canonical.pop("searchSpaceFile", None):  # the file may be gone when the experiment is resumed
        canonical["searchSpace"] = load_search_space(config)
    return canonical


def _algorithm_name(config: dict[str, Any]) -> str:
    algorithm = config.get("advisor") or config.get("tuner") or {}
    return algorithm.get("name") or algorithm.get("className") or ""
