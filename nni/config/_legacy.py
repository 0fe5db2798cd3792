"""Configurations in the schema of NNI 1.x: how they are recognised, and what their keys are called now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nni.config._errors import Fault, key_path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nni.config._errors import KeyPath

ALGORITHMS = ("tuner", "assessor", "advisor")

_SECTIONS = (
    "trial",
    "machineList",
    "localConfig",
    "remoteConfig",
    "paiConfig",
    "kubeflowConfig",
    "frameworkcontrollerConfig",
    "amlConfig",
    "dltsConfig",
)
_MARKS = ("trainingServicePlatform", "authorName", *_SECTIONS)
"""Keys that nobody writes who means the current schema."""

_OLD = (*_MARKS, "searchSpacePath", "maxExecDuration", "maxTrialNum", "logDir", "logCollection", "versionCheck")
_OLD_IN_ALGORITHM = ("builtinTunerName", "builtinAssessorName", "builtinAdvisorName", "classFileName")
_CURRENT = (
    "trainingService",
    "trialCommand",
    "trialCodeDirectory",
    "trialGpuNumber",
    "searchSpaceFile",
    "searchSpace",
    "maxExperimentDuration",
    "maxTrialNumber",
    "experimentWorkingDirectory",
    "tunerGpuIndices",
)
_CURRENT_IN_ALGORITHM = ("name",)

RENAMED: dict[str, tuple[str, ...]] = {
    "maxExecDuration": ("maxExperimentDuration",),
    "maxTrialNum": ("maxTrialNumber",),
    "searchSpacePath": ("searchSpaceFile",),
    "logDir": ("experimentWorkingDirectory",),
    "trainingServicePlatform": ("trainingService",),
    "builtinTunerName": ("name",),
    "builtinAssessorName": ("name",),
    "builtinAdvisorName": ("name",),
    "codeDir": ("codeDirectory", "trialCodeDirectory"),
    "command": ("trialCommand",),
    "gpuNum": ("gpuNumber", "trialGpuNumber"),
    "cpuNum": ("cpuNumber", "trialCpuNumber"),
    "memoryMB": ("memorySize", "trialMemorySize"),
    "image": ("dockerImage",),
    "taskNum": ("taskNumber",),
    "maxTrialNumPerGpu": ("maxTrialNumberPerGpu",),
    "ip": ("host",),
    "username": ("user",),
    "passwd": ("password",),
    "sshKeyPath": ("sshKeyFile",),
    "passphrase": ("sshPassphrase",),
    "userName": ("username",),
    "reuse": ("reuseMode",),
    "paiStorageConfigName": ("storageConfigName",),
    "nniManagerNFSMountPath": ("localStorageMountPoint",),
    "containerNFSMountPath": ("containerStorageMountPoint",),
}
"""Keys of the old schema and what they are called now, where this is a matter of the name only (PLT-114…144)."""

_FORMER = {new: tuple(old for old, names in RENAMED.items() if new in names) for new in sum(RENAMED.values(), ())}
_WRITTEN_NOW = {
    "trainingServicePlatform": "'trainingService: {platform: ...}'",
    "trial": "'trialCommand', 'trialCodeDirectory' and 'trialGpuNumber'",
    "classFileName": "'className: module.Class'",
    **dict.fromkeys(("builtinTunerName", "builtinAssessorName", "builtinAdvisorName"), "'name'"),
    **dict.fromkeys(_SECTIONS[1:], "its keys in 'trainingService'"),
}
_WRITTEN_THEN = {
    "trainingService": "'trainingServicePlatform', and the section of the platform",
    "trialCommand": "'command' in 'trial'",
    "trialCodeDirectory": "'codeDir' in 'trial'",
    "trialGpuNumber": "'gpuNum' in 'trial'",
    "tunerGpuIndices": "'gpuIndices' in 'tuner'",
    "searchSpace": "'searchSpacePath', a file",
    **{new: f"'{old}'" for old, (new, *_) in RENAMED.items() if old in _OLD and old not in _MARKS},
}


def other_names(key: str) -> tuple[str, ...]:
    """Return what a key is called in the other schema, whichever it is of."""
    return (*RENAMED.get(key, ()), *_FORMER.get(key, ()))


def is_legacy(data: dict[Any, Any]) -> bool:
    """Say whether a mapping is an experiment in the old schema: it has keys of that one only."""
    return any(_found(data, _OLD, _OLD_IN_ALGORITHM)) and not any(_found(data, _CURRENT, _CURRENT_IN_ALGORITHM))


def mixture(data: dict[Any, Any]) -> Fault | None:
    """
    Return what is wrong with a mapping that is unmistakably in both schemas (PLT-382); None if it is not.

    A key of the old schema that only has another name now is an unknown key with a suggestion, not a mixture.
    """
    old = list(_found(data, _MARKS, _OLD_IN_ALGORITHM))
    current = list(_found(data, _CURRENT, _CURRENT_IN_ALGORITHM))
    if not old or not current:
        return None
    if ("trainingService",) in current or ("trainingServicePlatform",) not in old:
        stray, rest, other = old[0], old[1:], current[0]
        belongs, written = ("the schema of NNI 1.x", "the current one"), _WRITTEN_NOW.get(str(stray[-1]))
    else:
        stray, rest, other = current[0], current[1:], old[0]
        belongs, written = ("the current schema", "that of NNI 1.x"), _then(stray)
    also = f" (and so do {', '.join(map(repr, map(key_path_text, rest)))})" if rest else ""
    is_there = stray == ("trainingServicePlatform",) and other == ("trainingService",)
    hint = f"write {written} instead" if written and not is_there else "leave it out"
    return Fault(
        stray,
        f"'{key_path_text(stray)}' belongs to {belongs[0]}{also}, but '{key_path_text(other)}' to {belongs[1]}, "
        f"and a file is in one of them: {hint}",
    )


def _then(path: KeyPath) -> str | None:
    key = str(path[-1])
    return f"'builtin{str(path[0]).capitalize()}Name'" if key == "name" else _WRITTEN_THEN.get(key)


def _found(data: dict[Any, Any], top: tuple[str, ...], in_algorithm: tuple[str, ...]) -> Iterator[KeyPath]:
    """Yield the paths of those keys that are there, in the order of the question."""
    given = {_camel(key) for key, value in data.items() if value is not None}
    yield from ((key,) for key in top if key in given)
    for kind in ALGORITHMS:
        section = data.get(kind)
        if isinstance(section, dict):
            given = {_camel(key) for key in section}
            yield from ((kind, key) for key in in_algorithm if key in given)


def _camel(key: Any) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), key) if isinstance(key, str) else ""
