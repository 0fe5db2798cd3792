"""From the schema of NNI 1.x to the current one, and from faults in the current one back to the keys of the file."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, TypeVar, cast

from nni.config._errors import ConfigError, Fault, key_path_text
from nni.config._legacy import ALGORITHMS
from nni.config._legacy_kubernetes import DEFAULT_API_VERSION, LegacyKubeflow
from nni.config._legacy_model import LegacyConfig, class_path
from nni.config._legacy_platforms import legacy_class
from nni.config._model import ConfigModel
from nni.config._read import follows, read_model

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from nni.config._errors import KeyPath, PathKey
    from nni.config._experiment import ExperimentConfig

_log = logging.getLogger("nni.config")
_QUOTED_OR_CAMEL = re.compile(r"'[^']*'|\b[a-z]+(?:[A-Z][a-zA-Z]*)+\b")
Model = TypeVar("Model", bound=ConfigModel)

_BEFORE = {
    "experimentName": "experimentName",
    "searchSpacePath": "searchSpaceFile",
}
_TRIAL = {"trial.codeDir": "trialCodeDirectory", "trial.gpuNum": "trialGpuNumber"}
_AFTER = {
    "trialConcurrency": "trialConcurrency",
    "maxTrialNum": "maxTrialNumber",
    "maxExecDuration": "maxExperimentDuration",
    "maxTrialDuration": "maxTrialDuration",
    "nniManagerIp": "nniManagerIp",
    "useAnnotation": "useAnnotation",
    "debug": "debug",
    "logLevel": "logLevel",
    "logDir": "experimentWorkingDirectory",
}
_PLATFORMS = {"pai": "openpai"}
_DROPPED = {
    "authorName": "NNI has no use for it",
    "versionCheck": "trials are run by the version of the manager",
    "logCollection": "logs of trials always come back",
}
"""What the old schema has and nothing depends on any more (PLT-114, 118, 129)."""


@dataclass
class Conversion:
    """
    A configuration of the old schema as one of the current schema, and how the two belong together.

    Attributes
    ----------
    data
        In the current schema; relative paths stay relative.
    origins
        Where each value of `data` was, also of those that are absent.
    warnings
        What takes no effect, or was assumed, although the user may count on it.
    dropped
        Keys that were given, that have no place in the current schema, and that nobody misses.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)
    warnings: list[Fault] = field(default_factory=list)
    dropped: list[Fault] = field(default_factory=list)

    def put(self, new: KeyPath, value: Any, old: KeyPath | None = None) -> None:
        """Set a value, unless it is absent, and remember where it was."""
        if old is not None:
            self.origins[new] = old
        if value is not None:
            _put(self.data, new, value)

    def warn(self, place: Callable[[KeyPath], str] | None = None) -> None:
        """Log the warnings, with their place in the file where there is one."""
        for note in self.warnings:
            _log.warning("%s", note if place is None else note.at(place(note.path)))

    def spelled(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return faults in the current schema with the paths and names of the old one."""
        words = {
            str(new[-1]): key_path_text(old) if len(new) == 1 else str(old[-1]) for new, old in self.origins.items()
        }
        return [
            Fault(
                self._origin(fault.path),
                _QUOTED_OR_CAMEL.sub(lambda match: words.get(match[0], match[0]), fault.message),
                fault.place,
            )
            for fault in faults
        ]

    def _origin(self, path: KeyPath) -> KeyPath:
        """Return where a part of the current schema was: itself, something around it, or what it was made of."""
        if path[:1] == ("searchSpace",):
            return ("searchSpacePath",)
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return (*self.origins[path[:length]], *path[length:])
        for length in range(len(path), 0, -1):
            within = [old for new, old in self.origins.items() if new[:length] == path[:length]]
            if within and (shared := _shared(within)):
                return shared
        return ("trainingServicePlatform",) if path[:1] == ("trainingService",) else path


def read_legacy(
    cls: type[Model], data: dict[Any, Any], directory: str | os.PathLike[str] | None
) -> tuple[Model, list[Fault]]:
    """Return a model of the current schema and everything that is wrong in data of the old one, in its own words."""
    old, faults = read_model(legacy_class(data), data)
    try:
        conversion = convert(old)
    except ConfigError as error:  # a value that is no JSON
        return cls(), [*faults, *(fault for fault in error.faults if not follows(fault, faults))]
    model, found = read_model(cls, conversion.data, directory)
    cast("ExperimentConfig", model)._origin = conversion  # noqa: SLF001  # of the same package
    spelled = conversion.spelled(found)
    if type(old) is LegacyConfig:  # an unknown platform: what a trial is there cannot be judged
        spelled = [fault for fault in spelled if fault.path[:1] != ("trial",)]
    return model, [*faults, *(fault for fault in spelled if not follows(fault, faults))]


def convert(old: LegacyConfig) -> Conversion:
    """
    Return a configuration in the current schema, with the defaults of the old one where they differ.

    Raises
    ------
    ConfigError
        For a value that is no JSON.
    """
    source = old._written()  # noqa: SLF001  # of the same family
    result = Conversion()
    _move(result, source, _BEFORE)
    where, command = old.command()
    result.put(("trialCommand",), command, _keys(where))
    _move(result, source, {was: now for was, now in _TRIAL.items() if was not in old.moves})
    if "trial.codeDir" in old.moves:  # adl: the directory is one of the image, nothing is sent (PLT-355)
        result.put(("trialCodeDirectory",), ".")
    _move(result, source, _AFTER)
    _switches(result, source)
    _algorithms(result, source)
    _service(result, source, old)
    _storage(result, source)
    _notes(result, source, old)
    return result


def _switches(result: Conversion, source: dict[str, Any]) -> None:
    """Convert what the dispatcher as a whole is told (PLT-125, 133, 134), and debug, which decides the log level."""
    owner = "advisor" if source.get("advisor") else "tuner"
    _move(result, source, {f"{owner}.gpuIndices": "tunerGpuIndices"})
    for was in ("tuner.includeIntermediateResults", "multiThread"):
        keys = _keys(was)
        result.put(keys[-1:], _at(source, keys) or None, keys)
    if source.get("debug") and result.data.pop("logLevel", "debug") != "debug":
        result.warnings.append(Fault(("logLevel",), "is ignored: with debug: true the log level is debug"))


def _algorithms(result: Conversion, source: dict[str, Any]) -> None:
    for kind in ALGORITHMS:
        section = source.get(kind) or {}
        if section and kind != "advisor" and source.get("advisor"):
            result.warnings.append(Fault((kind,), "is ignored: an advisor is tuner and assessor in one"))
            section = {}
        builtin = f"builtin{kind.capitalize()}Name"
        name = class_path(section.get("classFileName"), section.get("className"))
        if name is None and not section.get(builtin):  # incomplete, and that was said already
            section = {}
        result.put((kind, "name"), section.get(builtin), (kind, builtin))
        result.put((kind, "className"), name, (kind, "className"))
        result.put((kind, "codeDirectory"), section.get("codeDir"), (kind, "codeDir"))
        result.put((kind, "classArgs"), section.get("classArgs") or None, (kind, "classArgs"))


def _service(result: Conversion, source: dict[str, Any], old: LegacyConfig) -> None:
    platform = old.training_service_platform
    name = None if platform is None else _PLATFORMS.get(platform, platform)
    result.put(("trainingService", "platform"), name, ("trainingServicePlatform",))
    _move(result, source, {was: f"trainingService.{now}" for was, now in old.moves.items()})
    for now, value in old.service().items():
        result.put(("trainingService", *_keys(now)), value)


def _storage(result: Conversion, source: dict[str, Any]) -> None:
    result.put(("sharedStorage",), source.get("sharedStorage"), ("sharedStorage",))


def _notes(result: Conversion, source: dict[str, Any], old: LegacyConfig) -> None:
    for reasons, notes in ((_DROPPED, result.dropped), (old.dropped, result.warnings)):
        for key, reason in reasons.items():
            if _at(source, _keys(key)) is not None:
                notes.append(Fault(_keys(key), f"has no place in the current schema: {reason}"))
    if isinstance(old, LegacyKubeflow) and old.kubeflow_config and not old.kubeflow_config.api_version:
        result.warnings.append(
            Fault(("kubeflowConfig", "apiVersion"), f"not given, {DEFAULT_API_VERSION!r} is assumed")
        )


def _move(result: Conversion, source: dict[str, Any], moves: dict[str, str]) -> None:
    for was, now in moves.items():
        for old, new in _each(source, was, now):
            value = _at(source, old)
            result.put(new, f"{value}mb" if old[-1] == "memoryMB" and value is not None else value, old)
        if "[]" in was:
            result.origins[_keys(now.partition("[]")[0])] = _keys(was.partition("[]")[0])


def _each(source: dict[str, Any], was: str, now: str) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Yield old and new paths: one pair, or one for each item of the list that is marked ``[]``."""
    old_list, marked, old_rest = was.partition("[].")
    if not marked:
        yield _keys(was), _keys(now)
        return
    new_list, _, new_rest = now.partition("[].")
    for index in range(len(_at(source, _keys(old_list)) or ())):
        yield (*_keys(old_list), index, *_keys(old_rest)), (*_keys(new_list), index, *_keys(new_rest))


def _keys(path: str) -> KeyPath:
    return tuple(path.split("."))


def _at(value: Any, path: KeyPath) -> Any:
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        else:
            value = value[key] if isinstance(value, list) and isinstance(key, int) else None
    return value


def _put(data: Any, path: KeyPath, value: Any) -> None:
    for key, following in pairwise(path):
        data = _inner(data, key, [] if isinstance(following, int) else {})
    data[path[-1]] = value


def _inner(data: Any, key: PathKey, empty: Any) -> Any:
    """Return what is at a key, made if it is missing; items of a list are mappings."""
    if isinstance(key, str):
        return data.setdefault(key, empty)
    data.extend({} for _ in range(len(data), key + 1))
    return data[key]


def _shared(paths: list[KeyPath]) -> KeyPath:
    """Return the longest beginning that paths have in common."""
    columns = zip(*paths, strict=False)
    return tuple(keys[0] for keys in takewhile(lambda keys: len(set(keys)) == 1, columns))
