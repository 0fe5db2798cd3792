"""From losses to what a Gaussian process can model: about normal, about standard."""

from __future__ import annotations

import numpy as np

from nni.algorithms.hpo._gp._matern import Floats

_GRID = np.linspace(-2.0, 2.0, 41)


def warp(losses: Floats, rows: Floats | None = None) -> Floats:
    """Return losses on the scale of the model: an increasing function of them, with mean 0 and variance 1.

    The function is the power transform of Yeo and Johnson (2000) whose result is most likely normal: losses over
    orders of magnitude are drawn together, so that differences among the good ones are seen. Failures (infinity) are
    as bad as the worst that was measured.

    Parameters
    ----------
    losses : array, shape (n,)
        Smaller is better; infinite for failures.
    rows : array, shape (n, d), optional
        Encoded configurations. All branches of a nested space then count the same, however many of the observations
        each has: a search that stays in one branch must not make what the others may hold look small.
    """
    finite = losses[np.isfinite(losses)]
    if len(finite) == 0 or finite.min() == finite.max():
        return np.where(np.isfinite(losses), 0.0, 1.0)
    top = np.where(np.isfinite(losses), losses, np.where(losses > 0, finite.max(), finite.min()))
    weights = np.full(len(top), 1 / len(top)) if rows is None else _per_branch(rows)
    middle, spread = _scale(top, weights)
    with np.errstate(over="ignore"):
        standard = np.clip((top - middle) / spread, -1e100, 1e100)
    warped = yeo_johnson(standard, _most_normal(standard, weights))
    mean = float(weights @ warped)
    deviation = float(np.sqrt(weights @ (warped - mean) ** 2))
    return np.asarray((warped - mean) / deviation) if deviation > 0 else np.zeros_like(warped)


def yeo_johnson(x: Floats, power: float) -> Floats:
    """Return the transform of Yeo and Johnson (Biometrika 2000, Eq. 2.1); 1 is the identity."""
    positive, negative = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    up = np.log1p(positive) if abs(power) < 1e-9 else np.expm1(power * np.log1p(positive)) / power
    rest = 2 - power
    down = np.log1p(negative) if abs(rest) < 1e-9 else np.expm1(rest * np.log1p(negative)) / rest
    return np.asarray(up - down)


def _most_normal(x: Floats, weights: Floats) -> float:
    """Return the power with the largest likelihood (Yeo and Johnson 2000, Eq. 3.1), to a tenth."""
    jacobian = float(weights @ (np.sign(x) * np.log1p(np.abs(x))))
    best, found = -np.inf, 1.0
    for power in _GRID:
        with np.errstate(over="ignore", invalid="ignore"):
            transformed = yeo_johnson(x, power)
            variance = float(weights @ (transformed - weights @ transformed) ** 2)
        if not np.isfinite(variance) or variance <= 0:
            continue
        likelihood = -0.5 * np.log(variance) + (power - 1) * jacobian
        if likelihood > best:
            best, found = likelihood, float(power)
    return found


def _scale(x: Floats, weights: Floats) -> tuple[float, float]:
    """Return a location and a scale that outliers do not move: the median, and the distance between quartiles."""
    order = np.argsort(x, kind="stable")
    shares = np.cumsum(weights[order]) - 0.5 * weights[order]
    low, middle, high = np.interp([0.25, 0.5, 0.75], shares, x[order])
    if high > low:
        return float(middle), float(high - low)
    with np.errstate(over="ignore"):
        deviation = float(x.std())
    return float(middle), deviation if np.isfinite(deviation) and deviation > 0 else 1.0


def _per_branch(rows: Floats) -> Floats:
    """Return weights, of sum 1, by which every pattern of active columns counts the same."""
    _, pattern, counts = np.unique(np.isnan(rows), axis=0, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[pattern.ravel()]
    return np.asarray(weights / weights.sum())
