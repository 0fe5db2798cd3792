"""The tree-structured Parzen estimator, apart from the tuner that offers it."""

from __future__ import annotations

from nni.algorithms.hpo._tpe._sampler import Lie, TpeSampler

__all__ = ["Lie", "TpeSampler"]
