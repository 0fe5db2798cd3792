"""One experiment as its server sees it: the engine, the questions, and what a person may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_snake

from nni.common import json
from nni.config import ConfigError, ExperimentConfig, load_search_space
from nni.manager import events as ev
from nni.manager.engine import Engine
from nni.manager.queries import Standing
from nni.server.imports import checked_import
from nni.server.refused import RefusedError
from nni.server.served import ServedExperiment
from nni.store import ExperimentStatus, TrialStatus

_NOTE, _TAGS, _TAG = 10_000, 20, 40  # characters of a note, tags of a trial, characters of a tag
UPDATES = {
    "TRIAL_CONCURRENCY": "trialConcurrency",
    "MAX_EXEC_DURATION": "maxExperimentDuration",
    "SEARCH_SPACE": "searchSpace",
    "MAX_TRIAL_NUM": "maxTrialNumber",
}
"""What a running experiment lets a person change, by the documented names of the REST API."""


class RunningExperiment(ServedExperiment):
    """An experiment with its engine."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        super().__init__(directory, engine.state.profile)
        self.engine = engine
        self.queries.why_waiting = engine.state.why_waiting

    @property
    def standing(self) -> Standing:
        """As the engine knows it now."""
        engine = self.engine
        waiting = engine.fault or engine.state.waiting()
        return Standing(engine.status.value, engine.errors, engine.state.counts, waiting, engine.tuner_note)

    @property
    def ended(self) -> bool:
        """Whether the experiment has stopped for good."""
        return self.engine.state.status is ExperimentStatus.STOPPED

    async def update(self, update_type: str, params: dict[str, Any]) -> None:
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
            check_search_space(config, changed)
        self.engine.handle(ev.ConfigChanged(complete(config), field))
        await self.engine.settled()

    async def kill_trial(self, identifier: str) -> None:
        """Have a trial ended; raises ``KeyError`` for an unknown id."""
        trial = self.queries.reader.trial(identifier)
        if trial is None:
            raise KeyError(identifier)
        if trial.status.ended:
            raise RefusedError(f"trial {identifier} has ended already ({trial.status.value})")
        self._refuse_if_held()
        self.engine.handle(ev.KillRequested(identifier, TrialStatus.USER_CANCELED, "killed by the user"))
        await self.engine.settled()

    async def add_trial(self, parameters: Any) -> int:
        """Queue a configuration of a person's own; returns its sequence number."""
        if not isinstance(parameters, dict) or not parameters:
            raise RefusedError("the parameters of a trial must be a JSON object with at least one key")
        self._refuse_if_held()
        if self.engine.state.status is ExperimentStatus.ERROR:
            raise RefusedError("the experiment is in ERROR and starts no trial")
        if self.engine.state.trials_left() == 0:
            raise RefusedError("maxTrialNumber is reached; raise it first")
        self.engine.handle(ev.CustomTrialRequested(json.dumps(parameters)))
        sequence = self.profile.next_sequence - 1
        await self.engine.settled()
        return sequence

    async def annotate(self, identifier: str, note: str, tags: list[str]) -> None:
        """Keep what a person writes about a trial; raises ``KeyError`` for an unknown id."""
        trial = self.queries.reader.trial(identifier)
        if trial is None:
            raise KeyError(identifier)
        if len(note) > _NOTE or len(tags) > _TAGS or any(not tag.strip() or len(tag) > _TAG for tag in tags):
            raise RefusedError(f"a note has at most {_NOTE} characters, a trial {_TAGS} tags of 1 to {_TAG} characters")
        self._refuse_if_held()
        self.engine.annotate(trial, note, list(dict.fromkeys(tag.strip() for tag in tags)))
        await self.engine.settled()

    async def import_data(self, data: Any) -> None:
        """Hand results from elsewhere to the tuner."""
        self._refuse_if_held()
        config = self.profile.config
        algorithm = config.get("advisor") or config.get("tuner") or {}
        samples = checked_import(data, config.get("searchSpace"), custom="className" in algorithm)
        self.engine.handle(ev.ImportRequested(samples))
        await self.engine.settled()

    async def set_cluster_metadata(self, settings: dict[str, Any]) -> None:
        """Hand settings to the training service."""
        for key, value in settings.items():
            await self.engine.service.set_cluster_metadata(key, str(value))

    def _refuse_if_held(self) -> None:
        if self.engine.state.stopping:
            raise RefusedError("the experiment is being stopped")
        if self.engine.fault:  # an answer would have to wait until the disk takes the change
            raise RefusedError(self.engine.fault)


def check_search_space(config: ExperimentConfig, written: dict[str, Any]) -> None:
    """Raise ``ConfigError``, with the names as REST users write them, if the search space is not one for the tuner.

    What else may have become wrong since the start (a directory that is gone) is no reason to refuse a search space.
    """
    try:
        config.validate()
    except ConfigError as error:
        respelt = [replace(fault, path=tuple(_as_written(fault.path, written))) for fault in error.faults]
        faults = [fault for fault in respelt if fault.path[:1] == ("searchSpace",)]
        if faults:
            raise ConfigError(faults) from None


def _as_written(path: Iterable[str | int], data: Any) -> Iterator[str | int]:
    """Yield the keys of a path as they are in the data; `validate` has put them in snake_case, as for Python users."""
    for key in path:
        names = data if isinstance(data, dict) else ()
        found = key if key in names else next((name for name in names if to_snake(name) == key), key)
        if found == "search_space":  # missing altogether
            found = "searchSpace"
        yield found
        inside = isinstance(data, list) and isinstance(found, int) and found < len(data)
        data = data[found] if inside else data.get(found) if isinstance(data, dict) else None


def complete(config: ExperimentConfig) -> dict[str, Any]:
    """Return the canonical configuration with the search space in it, wherever it was written."""
    canonical = config.canonical()
    if canonical.pop("searchSpaceFile", None):  # the file may be gone when the experiment is resumed
        canonical["searchSpace"] = load_search_space(config)
    return canonical
