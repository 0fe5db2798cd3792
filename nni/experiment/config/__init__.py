"""The configuration classes at their documented place (PLT-214); they live in `nni.config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nni.config
from nni.config import (
    AlgorithmConfig,
    AzureBlobConfig,
    CustomAlgorithmConfig,
    ExperimentConfig,
    LocalConfig,
    NfsConfig,
    SharedStorageConfig,
    TrainingServiceConfig,
)

if TYPE_CHECKING:
    from nni.config import (
        AdlConfig,
        AmlConfig,
        DlcConfig,
        FrameworkControllerConfig,
        KubeflowConfig,
        OpenpaiConfig,
        RemoteConfig,
        RemoteMachineConfig,
    )

__all__ = [
    "AdlConfig",
    "AlgorithmConfig",
    "AmlConfig",
    "AzureBlobConfig",
    "CustomAlgorithmConfig",
    "DlcConfig",
    "ExperimentConfig",
    "FrameworkControllerConfig",
    "KubeflowConfig",
    "LocalConfig",
    "NfsConfig",
    "OpenpaiConfig",
    "RemoteConfig",
    "RemoteMachineConfig",
    "SharedStorageConfig",
    "TrainingServiceConfig",
]


def __getattr__(name: str) -> Any:
    """Build the classes of the other platforms when they are first asked for."""
    if name in __all__:
        return getattr(nni.config, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
