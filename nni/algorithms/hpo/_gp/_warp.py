"""From losses to what a Gaussian process can model: about normal, about standard."""

from __future__ import annotations

import numpy as np

from nni.algorithms.hpo._gp._matern import Floats

_GRID = np.linspace(-2.0, 2.0, 41)


def warp(losses: Floats) -> Floats:
    """Return losses on the scale of the model: an increasing function of them, with mean 0 and variance 1.

    The function is the power transform of Yeo and Johnson (2000) whose result is most likely normal: losses over
    orders of magnitude are drawn together, so that differences among the good ones are seen. Failures (infinity) are
    as bad as the worst that was measured.

    Parameters
    ----------
    losses : array, shape (n,)
        Smaller is better; infinite for failures.
    """
    finite = losses[np.isfinite(losses)]
    if len(finite) == 0 or finite.min() == finite.max():
        return np.where(np.isfinite(losses), 0.0, 1.0)
    top = np.where(np.isfinite(losses), losses, np.where(losses > 0, finite.max(), finite.min()))
    middle, spread = float(np.median(top)), _spread(top)
    with np.errstate(over="ignore"):
        standard = np.clip((top - middle) / spread, -1e100, 1e100)
    warped = yeo_johnson(standard, _most_normal(standard))
    deviation = float(warped.std())
    return np.asarray((warped - warped.mean()) / deviation) if deviation > 0 else np.zeros_like(warped)


def yeo_johnson(x: Floats, power: float) -> Floats:
    """Return the transform of Yeo and Johnson (Biometrika 2000, Eq. 2.1); 1 is the identity."""
    positive, negative = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    up = np.log1p(positive) if abs(power) < 1e-9 else np.expm1(power * np.log1p(positive)) / power
    rest = 2 - power
    down = np.log1p(negative) if abs(rest) < 1e-9 else np.expm1(rest * np.log1p(negative)) / rest
    return np.asarray(up - down)


def _most_normal(x: Floats) -> float:
    """Return the power with the largest likelihood (Yeo and Johnson 2000, Eq. 3.1), to a twentieth."""
    jacobian = float((np.sign(x) * np.log1p(np.abs(x))).sum())
    best, found = -np.inf, 1.0
    for power in _GRID:
        with np.errstate(over="ignore", invalid="ignore"):
            variance = float(yeo_johnson(x, power).var())
        if not np.isfinite(variance) or variance <= 0:
            continue
        likelihood = -0.5 * len(x) * np.log(variance) + (power - 1) * jacobian
        if likelihood > best:
            best, found = likelihood, float(power)
    return found


def _spread(x: Floats) -> float:
    """Return a scale that outliers do not move: the distance between quartiles, else the standard deviation."""
    low, high = np.quantile(x, [0.25, 0.75])
    if high > low:
        return float(high - low)
    with np.errstate(over="ignore"):
        deviation = float(x.std())
    return deviation if np.isfinite(deviation) and deviation > 0 else 1.0
