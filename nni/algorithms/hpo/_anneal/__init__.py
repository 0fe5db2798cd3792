"""Annealing: draws that close in on the best results; the mathematics behind ``Anneal``."""

from __future__ import annotations

from nni.algorithms.hpo._anneal._sampler import AnnealSampler

__all__ = ["AnnealSampler"]
