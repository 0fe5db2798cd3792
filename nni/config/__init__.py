"""
The configuration of an experiment: typed classes, loading and checking (documented as `nni.experiment.config`).

Start with `load` for a file and `ExperimentConfig` in Python.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nni.config._algorithm import AlgorithmConfig, CustomAlgorithmConfig
from nni.config._constraint import ConstraintFunctionConfig
from nni.config._errors import ConfigError, Fault, PlatformNotAvailableError, key_path_text
from nni.config._experiment import ExperimentConfig
from nni.config._fields import memory_megabytes
from nni.config._function import FunctionCommand, call_problem, is_function
from nni.config._local import LocalConfig
from nni.config._shared_storage import AzureBlobConfig, NfsConfig, SharedStorageConfig
from nni.config._training_service import TrainingServiceConfig

if TYPE_CHECKING:
    from nni.config._adl import AdlCheckpointConfig, AdlConfig, AdlNfsConfig, AdlPullSecretConfig
    from nni.config._aml import AmlConfig
    from nni.config._dlc import DlcConfig
    from nni.config._dlts import DltsConfig
    from nni.config._frameworkcontroller import (
        FrameworkAttemptCompletionPolicy,
        FrameworkControllerConfig,
        FrameworkControllerRoleConfig,
        FrameworkControllerStorageConfig,
    )
    from nni.config._kubeflow import KubeflowConfig, KubeflowRoleConfig, KubeflowStorageConfig
    from nni.config._legacy_write import current_yaml
    from nni.config._load import load, save
    from nni.config._openpai import OpenpaiConfig
    from nni.config._ray import RayConfig
    from nni.config._remote import RemoteConfig, RemoteMachineConfig
    from nni.config._runner_service import RunnerServiceConfig
    from nni.config._schema import json_schema
    from nni.config._slurm import SlurmConfig
    from nni.config._start import check_available, load_search_space, validate

__all__ = [
    "AdlCheckpointConfig",
    "AdlConfig",
    "AdlNfsConfig",
    "AdlPullSecretConfig",
    "AlgorithmConfig",
    "AmlConfig",
    "AzureBlobConfig",
    "ConfigError",
    "ConstraintFunctionConfig",
    "CustomAlgorithmConfig",
    "DlcConfig",
    "DltsConfig",
    "ExperimentConfig",
    "Fault",
    "FrameworkAttemptCompletionPolicy",
    "FrameworkControllerConfig",
    "FrameworkControllerRoleConfig",
    "FrameworkControllerStorageConfig",
    "FunctionCommand",
    "KubeflowConfig",
    "KubeflowRoleConfig",
    "KubeflowStorageConfig",
    "LocalConfig",
    "NfsConfig",
    "OpenpaiConfig",
    "PlatformNotAvailableError",
    "RayConfig",
    "RemoteConfig",
    "RemoteMachineConfig",
    "RunnerServiceConfig",
    "SharedStorageConfig",
    "SlurmConfig",
    "TrainingServiceConfig",
    "call_problem",
    "check_available",
    "current_yaml",
    "is_function",
    "json_schema",
    "key_path_text",
    "load",
    "load_search_space",
    "memory_megabytes",
    "save",
    "validate",
]

# Building a pydantic class takes a millisecond or two: classes of platforms that an experiment does not use wait.
_LATER = {
    "AdlCheckpointConfig": "_adl",
    "AdlConfig": "_adl",
    "AdlNfsConfig": "_adl",
    "AdlPullSecretConfig": "_adl",
    "AmlConfig": "_aml",
    "DlcConfig": "_dlc",
    "DltsConfig": "_dlts",
    "FrameworkAttemptCompletionPolicy": "_frameworkcontroller",
    "FrameworkControllerConfig": "_frameworkcontroller",
    "FrameworkControllerRoleConfig": "_frameworkcontroller",
    "FrameworkControllerStorageConfig": "_frameworkcontroller",
    "KubeflowConfig": "_kubeflow",
    "KubeflowRoleConfig": "_kubeflow",
    "KubeflowStorageConfig": "_kubeflow",
    "OpenpaiConfig": "_openpai",
    "RayConfig": "_ray",
    "RemoteConfig": "_remote",
    "RemoteMachineConfig": "_remote",
    "RunnerServiceConfig": "_runner_service",
    "SlurmConfig": "_slurm",
    "check_available": "_start",
    "current_yaml": "_legacy_write",
    "json_schema": "_schema",
    "load": "_load",
    "load_search_space": "_start",
    "save": "_load",
    "validate": "_start",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"nni.config.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
