"""Density estimates in many dimensions at once, and its file format for search spaces; what is behind ``BOHB``."""

from __future__ import annotations

from nni.algorithms.hpo._bohb._density import Density, Variables
from nni.algorithms.hpo._bohb._pcs import PcsError, PcsSpace

__all__ = ["Density", "PcsError", "PcsSpace", "Variables"]
