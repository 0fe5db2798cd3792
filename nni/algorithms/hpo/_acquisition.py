"""Acquisition functions of model-based tuners; losses, so that smaller is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

Floats = NDArray[np.float64]
_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Return ``E[max(best - y, 0)]`` of ``y ~ N(mean, deviation**2)``, shape (n,).

    Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions", equation 15.
    """
    return np.exp(log_expected_improvement(mean, deviation, best))


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Return the logarithm of :func:`expected_improvement`, which tells candidates apart where that is zero.

    ``log(phi(z) + z Phi(z)) + log(deviation)`` with ``z = (best - mean) / deviation``, through the scaled complementary
    error function far below zero (Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian
    Optimization", equation 9). A deviation of zero counts as a very small one.
    """
    deviation = np.maximum(deviation, 1e-12 * max(1.0, abs(best)))
    z = (best - mean) / deviation
    return np.asarray(_log_h(z) + np.log(deviation))


def _log_h(z: Floats) -> Floats:
    """Return ``log(phi(z) + z Phi(z))``."""
    density = -0.5 * z**2 - _LOG_SQRT_2PI
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        direct = np.log(np.exp(density) + z * ndtr(z))
        low = np.minimum(z, -1.0)
        # Phi(z) / phi(z) = sqrt(pi / 2) erfcx(-z / sqrt(2)); beyond -1e3 what is left is 1 / z**2
        tail = 1 + low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
        far = density + np.where(low > -1e3, np.log(np.maximum(tail, 1e-300)), -2 * np.log(-low))
    return np.where(z > -1.0, direct, far)


def log_probability_of_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Return ``log P(y < best)`` of ``y ~ N(mean, deviation**2)``, shape (n,)."""
    return np.asarray(log_ndtr((best - mean) / np.maximum(deviation, 1e-12 * max(1.0, abs(best)))))
