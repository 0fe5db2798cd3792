"""Which algorithm suggests next."""

from __future__ import annotations

from nni.algorithms.hpo._gp import GpSampler


class AutoSampler(GpSampler):
    """To come."""
