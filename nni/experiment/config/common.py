"""Documented place of what all configurations have in common; see `nni.config`."""

from __future__ import annotations

from nni.config import (
    AlgorithmConfig,
    CustomAlgorithmConfig,
    ExperimentConfig,
    SharedStorageConfig,
    TrainingServiceConfig,
)
from nni.config._algorithm import _AlgorithmConfig

__all__ = [
    "AlgorithmConfig",
    "CustomAlgorithmConfig",
    "ExperimentConfig",
    "SharedStorageConfig",
    "TrainingServiceConfig",
    "_AlgorithmConfig",
]
