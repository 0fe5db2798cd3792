"""Configurations in the schema of NNI 1.x: recognised here; the place where they will be converted."""

from __future__ import annotations

from typing import Any

from nni.config._errors import ConfigError, Fault

_MARKS = ("trainingServicePlatform", "authorName")
_ALGORITHM_MARKS = ("builtinTunerName", "builtinAssessorName", "builtinAdvisorName", "classFileName")

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


def is_legacy(data: dict[Any, Any]) -> bool:
    """Say whether a mapping is an experiment in the old schema: its marks, and no `trainingService`."""
    if "trainingService" in data or "training_service" in data:
        return False  # an old key in a new file is an unknown key with a suggestion
    sections = [section for key in ("tuner", "assessor", "advisor") if isinstance(section := data.get(key), dict)]
    return any(mark in data for mark in _MARKS) or any(
        mark in section for section in sections for mark in _ALGORITHM_MARKS
    )


def to_current(data: dict[Any, Any]) -> dict[Any, Any]:
    """
    Return a mapping in the current schema; one that is in it already is returned as it is.

    Raises
    ------
    ConfigError
        For the old schema, which this version does not convert.
    """
    if not is_legacy(data):
        return data
    raise ConfigError(
        Fault(
            (),
            "this is the configuration schema of NNI 1.x, which this version does not read: write it with "
            "'trainingService:' instead of 'trainingServicePlatform:' and 'tuner: {name: ...}' instead of "
            "'builtinTunerName' (see 'Experiment Config Reference')",
        )
    )
