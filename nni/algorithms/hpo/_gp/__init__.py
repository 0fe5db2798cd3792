"""Gaussian processes on numpy and scipy: covariance, regression, acquisition, and the search for its maximum."""

from __future__ import annotations

from nni.algorithms.hpo._gp._acquisition import Acquisition, Utility
from nni.algorithms.hpo._gp._arms import Arm, Arms, in_arm
from nni.algorithms.hpo._gp._kernel import Feature, Kernel
from nni.algorithms.hpo._gp._optimise import Effort, Search
from nni.algorithms.hpo._gp._process import GaussianProcess, Hyperparameters
from nni.algorithms.hpo._gp._sampler import GpSampler, GpSettings
from nni.algorithms.hpo._gp._space import UnitSpace
from nni.algorithms.hpo._gp._warp import warp

__all__ = [
    "Acquisition",
    "Arm",
    "Arms",
    "Effort",
    "Feature",
    "GaussianProcess",
    "GpSampler",
    "GpSettings",
    "Hyperparameters",
    "Kernel",
    "Search",
    "UnitSpace",
    "Utility",
    "in_arm",
    "warp",
]
