"""Rungs of asynchronous successive halving; what is behind ``ASHA`` and ``ASHAAssessor``."""

from __future__ import annotations

from nni.algorithms.hpo._asha._rungs import Rung, Rungs

__all__ = ["Rung", "Rungs"]
