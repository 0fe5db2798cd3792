"""Metis, apart from the tuner that offers it."""

from __future__ import annotations

from nni.algorithms.hpo._metis._sampler import MetisSampler, MetisSettings, Prediction

__all__ = ["MetisSampler", "MetisSettings", "Prediction"]
