"""Sequential model-based algorithm configuration, apart from the tuner that offers it."""

from __future__ import annotations

from nni.algorithms.hpo._smac._sampler import SmacSampler

__all__ = ["SmacSampler"]
