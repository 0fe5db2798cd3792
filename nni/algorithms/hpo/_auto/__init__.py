"""The choice of an algorithm by what is to be searched and what was found so far."""

from __future__ import annotations

from nni.algorithms.hpo._auto._sampler import AutoSampler

__all__ = ["AutoSampler"]
