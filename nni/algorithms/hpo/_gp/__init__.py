"""Gaussian processes on numpy and scipy: covariance of configurations, regression, acquisition, search for its maximum."""

from __future__ import annotations

from nni.algorithms.hpo._gp._kernel import Feature, Kernel
from nni.algorithms.hpo._gp._process import GaussianProcess, Hyperparameters

__all__ = ["Feature", "GaussianProcess", "Hyperparameters", "Kernel"]
