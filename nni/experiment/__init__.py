"""Create, run and manage experiments from Python.

Names are imported when they are first used, so that ``nnictl`` and notebooks start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nni.config import (
        AlgorithmConfig,
        AmlConfig,
        AzureBlobConfig,
        CustomAlgorithmConfig,
        DlcConfig,
        ExperimentConfig,
        FrameworkControllerConfig,
        KubeflowConfig,
        LocalConfig,
        NfsConfig,
        OpenpaiConfig,
        RemoteConfig,
        RemoteMachineConfig,
        SharedStorageConfig,
        TrainingServiceConfig,
    )
    from nni.experiment._tune import tune
    from nni.experiment.client import ApiError, NniClient, NoAnswerError
    from nni.experiment.data import BestTrial, TrialHyperParameters, TrialJob, TrialMetricData, TrialResult
    from nni.experiment.experiment import Experiment
    from nni.experiment.importance import ImportanceError, ParameterImportance, parameter_importance
    from nni.experiment.launch import LaunchError, ManagerCrashError
    from nni.experiment.stop import StopError
    from nni.experiment.tune_result import TrialRecord, TuneResult

__all__ = [
    "AlgorithmConfig",
    "AmlConfig",
    "ApiError",
    "AzureBlobConfig",
    "BestTrial",
    "CustomAlgorithmConfig",
    "DlcConfig",
    "Experiment",
    "ExperimentConfig",
    "FrameworkControllerConfig",
    "ImportanceError",
    "KubeflowConfig",
    "LaunchError",
    "LocalConfig",
    "ManagerCrashError",
    "NfsConfig",
    "NniClient",
    "NoAnswerError",
    "OpenpaiConfig",
    "ParameterImportance",
    "RemoteConfig",
    "RemoteMachineConfig",
    "SharedStorageConfig",
    "StopError",
    "TrainingServiceConfig",
    "TrialHyperParameters",
    "TrialJob",
    "TrialMetricData",
    "TrialRecord",
    "TrialResult",
    "TuneResult",
    "parameter_importance",
    "tune",
]

_HOME = {
    "Experiment": "nni.experiment.experiment",
    **dict.fromkeys(("ApiError", "NniClient", "NoAnswerError"), "nni.experiment.client"),
    **dict.fromkeys(
        ("BestTrial", "TrialHyperParameters", "TrialJob", "TrialMetricData", "TrialResult"), "nni.experiment.data"
    ),
    **dict.fromkeys(("ImportanceError", "ParameterImportance", "parameter_importance"), "nni.experiment.importance"),
    **dict.fromkeys(("LaunchError", "ManagerCrashError"), "nni.experiment.launch"),
    "StopError": "nni.experiment.stop",
    **dict.fromkeys(("TrialRecord", "TuneResult"), "nni.experiment.tune_result"),
    "tune": "nni.experiment._tune",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME.get(name, "nni.config")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
