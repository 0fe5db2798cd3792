"""The Matérn covariance of any smoothness, and its slope (Rasmussen and Williams 2006, Eq. 4.14)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SMOOTHEST = 50.0  # beyond it, the covariance is the squared exponential to four digits


def matern(squared: Floats, nu: float) -> tuple[Floats, Floats]:
    """Return the covariance at squared distances, and its derivative by the squared distance; both of their shape.

    Parameters
    ----------
    squared : array
        Squared distances, in units of the length scale; not negative.
    nu
        Smoothness: 0.5 rough, 2.5 twice differentiable; infinity gives the squared exponential.
    """
    if nu > _SMOOTHEST:
        value = np.exp(-0.5 * squared)
        return value, -0.5 * value
    scaled = np.sqrt(2 * nu * squared)
    if nu == 2.5:
        decay = np.exp(-scaled)
        return (1 + scaled + scaled**2 / 3) * decay, (-5 / 6) * (1 + scaled) * decay
    if nu == 1.5:
        decay = np.exp(-scaled)
        return (1 + scaled) * decay, -1.5 * decay
    if nu == 0.5:
        decay = np.exp(-scaled)
        return decay, -0.5 * decay / np.maximum(scaled, 1e-10)
    return _general(scaled, nu)


def _general(scaled: Floats, nu: float) -> tuple[Floats, Floats]:
    """With the Bessel function K; d/dz of z^nu K_nu(z) is -z^nu K_(nu-1)(z)."""
    from scipy.special import gamma, kv  # noqa: PLC0415  (for unusual smoothness only)

    z = np.maximum(scaled, 1e-10)
    factor = 2 ** (1 - nu) / float(gamma(nu))
    value = np.where(scaled < 1e-8, 1.0, factor * z**nu * kv(nu, z))
    slope = -nu * factor * z ** (nu - 1) * kv(nu - 1, z)
    return np.nan_to_num(value), np.nan_to_num(slope)


def log_normal_density(x: Floats, mean: Floats, deviation: Floats) -> tuple[float, Floats]:
    """Return the log density of independent normal variables, without its constant, and its gradient."""
    z = (x - mean) / deviation
    return float(-0.5 * z @ z), -z / deviation


HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
