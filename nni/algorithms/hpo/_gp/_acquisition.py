"""How promising a prediction is, as a logarithm where it can underflow, with its slopes.

In the form of maximisation the documentation gives EI = (mu - y - xi) Phi(z) + sigma phi(z), UCB = mu + kappa sigma and
POI = Phi(z) with z = (mu - y - xi) / sigma (HPO-278). Here losses are minimised, which turns the sign of mu and y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import erfcx, log_ndtr

from nni.algorithms.hpo._gp._matern import HALF_LOG_2PI, Floats

Utility = Literal["ei", "ucb", "poi"]

_FAR = -1.0  # below it, log EI is computed from the scaled complementary error function


@dataclass(frozen=True)
class Acquisition:
    """A utility to be maximised.

    Attributes
    ----------
    utility
        Expected improvement, confidence bound, or probability of improvement.
    best
        The loss to improve on.
    kappa
        Of ``ucb``; more explores more.
    xi
        Of ``ei`` and ``poi``; more explores more.
    """

    utility: Utility = "ei"
    best: float = 0.0
    kappa: float = 5.0
    xi: float = 0.0

    def __call__(self, mean: Floats, variance: Floats) -> Floats:
        """Return the utility of predictions, each of shape (n,): log EI, UCB, or log POI."""
        return self.with_slopes(mean, variance)[0]

    def with_slopes(self, mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the utility, and its derivatives by mean and variance."""
        deviation = np.sqrt(variance)
        if self.utility == "ucb":
            slope = np.full_like(mean, -1.0)
            return self.kappa * deviation - mean, slope, 0.5 * self.kappa / deviation
        z = (self.best - self.xi - mean) / deviation
        log_density = -0.5 * z**2 - HALF_LOG_2PI
        log_share = log_ndtr(z)
        if self.utility == "poi":
            slope = np.exp(np.minimum(log_density - log_share, 700))
            return log_share, -slope / deviation, -0.5 * slope * z / variance
        log_h = log_improvement(z)
        by_z = np.exp(np.minimum(log_share - log_h, 700))  # the derivative of z Phi(z) + phi(z) is Phi(z)
        value = log_h + 0.5 * np.log(variance)
        with np.errstate(over="ignore"):  # a forest whose trees agree has next to no variance, and no use for slopes
            return value, -by_z / deviation, (1 - by_z * z) * 0.5 / variance


def log_improvement(z: Floats) -> Floats:
    """Return log(phi(z) + z Phi(z)), also where it underflows (Ament et al. 2023, "Unexpected Improvements", Eq. 9)."""
    near = np.maximum(z, _FAR)
    log_near = np.log(np.exp(-0.5 * near**2 - HALF_LOG_2PI) + near * np.exp(log_ndtr(near)))
    far = np.minimum(z, _FAR)
    # phi + z Phi = phi (1 + z sqrt(pi / 2) erfcx(-z / sqrt 2)); the bracket tends to 1 / z² for very negative z.
    bracket = 1 + far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    bracket = np.where(far < -1e4, 1 / far**2, np.maximum(bracket, 1e-30))
    log_far = -0.5 * far**2 - HALF_LOG_2PI + np.log(bracket)
    return np.where(z > _FAR, log_near, log_far)
