"""Learning the ensemble of curves from the beginning of one, and predicting how it goes on (HPO-375, HPO-376)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq

from nni.algorithms.hpo._curvefitting.curvefunctions import CURVES, Array, Curve

_FEWEST_POINTS = 4
_MOST_POINTS = 400  # a longer history is averaged in bins: what a call may cost does not grow with its length
_EVALUATIONS_PER_FIT = 300
_LEAST_EXPLAINED = 0.3  # share of the variance; what explains less has not found the curve
_OUTLIER = 3.0  # in robust standard deviations of the curves' predictions
_SMALLEST_SPREAD = 0.02  # of the observed range; curves that agree to this are no outliers of one another
_SMALLEST_NOISE = 1e-3  # of the observed range
_LARGEST_DOUBT = 0.75  # standard deviation of the prediction, of the observed range
_WALKERS_PER_DIMENSION = 3
_BURN_IN, _STEPS = 100, 150
_STRETCH = 2.0  # Goodman and Weare's a
_LEAST_ACCEPTED = 0.02


@dataclass(frozen=True)
class Prediction:
    """What is expected at the target step.

    Attributes
    ----------
    mean, std
        Of the posterior distribution of the ensemble at the target, in the units of the history.
    curves
        Names of the curves that are in the ensemble.
    weights
        Their mean weights; they sum to 1.
    """

    mean: float
    std: float
    curves: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Fit:
    curve: Curve
    theta: Array
    values: Array  # at the steps of the history
    at_target: float


class CurveModel:
    """The weighted ensemble f_comb(x | xi) = sum_k w_k f_k(x | theta_k) + epsilon (Domhan et al. 2015, equation 1).

    The parameters theta are those of least squares. The weights w and the noise sigma of xi are sampled from their
    posterior distribution, with a flat prior of the weights on the simplex, that of Jeffreys of sigma, and the prior of
    the paper that the ensemble rises from the first step to the target.

    The history is scaled to a fixed range first, so what is predicted does not depend on the unit or the zero of the
    metric.

    Parameters
    ----------
    target
        The step to predict, counted from 1.
    seed
        Of the random numbers of the sampler.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self._target = target
        self._seed = seed

    def predict(self, history: list[float]) -> Prediction | None:
        """Return what is expected at the target, or None if no answer has converged.

        Parameters
        ----------
        history
            Values of the steps 1, 2, …; NaN and infinities are left out.
        """
        y = np.asarray(history, dtype=float)
        x = np.arange(1, len(y) + 1, dtype=float)[np.isfinite(y)]
        y = y[np.isfinite(y)]
        if len(y) < _FEWEST_POINTS:
            return None
        low, span = float(y.min()), float(y.max() / 2 - y.min() / 2) * 2
        if span == 0 or not np.isfinite(span):
            return Prediction(low, 0.0, (), ()) if span == 0 else None
        x, y = _binned(x, (y - low) / span * 0.8 + 0.1)
        fits = filter_curve([fit for curve in CURVES if (fit := fit_theta(curve, x, y, self._target))], y)
        if not fits:
            return None
        return self._weighed(fits, x, y, low - 0.1 * span / 0.8, span / 0.8)

    def _weighed(self, fits: list[_Fit], x: Array, y: Array, offset: float, unit: float) -> Prediction | None:
        first = np.array([float(fit.curve.function(np.ones(1), fit.theta)[0]) for fit in fits])
        at_target = np.array([fit.at_target for fit in fits])
        values = np.stack([fit.values for fit in fits])
        chain = mcmc_sampling(values, y, at_target - first, np.random.default_rng([self._seed, len(x)]))
        if chain is None:
            return None
        predicted = f_comb(chain, at_target)
        if not _has_converged(predicted):
            return None
        weights = chain.reshape(-1, len(fits))
        return Prediction(
            mean=float(predicted.mean() * unit + offset),
            std=float(predicted.std() * unit),
            curves=tuple(fit.curve.name for fit in fits),
            weights=tuple(float(weight) for weight in weights.mean(axis=0)),
        )


def f_comb(weights: Array, values: Array) -> Array:
    """Return the ensemble.

    Parameters
    ----------
    weights
        Shape ``... x k``.
    values
        Of the k curves; shape ``k`` at one step or ``k x n`` at n.
    """
    return np.asarray(weights @ values)


def fit_theta(curve: Curve, x: Array, y: Array, target: int) -> _Fit | None:
    """Return the least-squares fit of one family, the better one of all its starts; None if there is none.

    Parameters
    ----------
    x, y
        Steps and values, shape ``n`` each.
    target
        The step to predict.
    """
    if len(x) <= curve.size:  # it would go through every point, whatever they are
        return None
    best, least = None, np.inf
    for start in curve.starts:
        theta, *_ = leastsq(
            lambda p: curve.function(x, p) - y, start, full_output=True, maxfev=_EVALUATIONS_PER_FIT, ftol=1e-6
        )
        loss = float(np.sum((curve.function(x, theta) - y) ** 2))
        if loss < least:
            best, least = theta, loss
    if best is None:
        return None
    at_target = float(curve.function(np.array([float(target)]), best)[0])
    return _Fit(curve, best, curve.function(x, best), at_target) if np.isfinite(at_target) else None


def filter_curve(fits: list[_Fit], y: Array) -> list[_Fit]:
    """Return the fits that have found the curve and do not stand alone with what they predict.

    Removed are those that explain too little of the variance, that fall, and whose prediction is an outlier among all
    others' (by the median and the median absolute deviation, which outliers do not move).
    """
    variance = float(np.var(y))
    good = [
        fit
        for fit in fits
        if np.mean((fit.values - y) ** 2) <= (1 - _LEAST_EXPLAINED) * variance
        and fit.at_target >= fit.values[0] - _SMALLEST_NOISE
    ]
    if not good:
        return []
    predicted = np.array([fit.at_target for fit in good])
    distance = np.abs(predicted - np.median(predicted))
    spread = max(1.4826 * float(np.median(distance)), _SMALLEST_SPREAD)
    return [fit for fit, away in zip(good, distance, strict=True) if away <= _OUTLIER * spread]


def mcmc_sampling(values: Array, y: Array, rise: Array, rng: np.random.Generator) -> Array | None:
    """Sample the weights of the curves from their posterior distribution.

    Walkers of an ensemble sampler (Goodman and Weare, "Ensemble samplers with affine invariance", 2010), as in the
    paper. A walker is log g_1 … log g_k, log sigma, where w = g / sum g; independent g of the exponential distribution
    make the weights uniform on the simplex.

    Parameters
    ----------
    values
        Of the curves at the steps of the history, ``k x n``.
    y
        The history, ``n``.
    rise
        Of each curve from the first step to the target, ``k``. The prior excludes ensembles that fall.

    Returns
    -------
    ndarray or None
        Weights, ``steps x walkers x k``; None if the walkers hardly moved, or if every ensemble falls.
    """
    k = len(values)
    n_walkers = 2 * max(4, _WALKERS_PER_DIMENSION * (k + 1) // 2)

    def log_posterior(walkers: Array) -> Array:
        weights = _weights(walkers)
        error = np.sum((f_comb(weights, values) - y) ** 2, axis=1)
        log_sigma = np.maximum(walkers[:, -1], np.log(_SMALLEST_NOISE))
        likelihood = -0.5 * error / np.exp(2 * log_sigma) - len(y) * log_sigma
        gamma = np.sum(walkers[:, :-1] - np.exp(walkers[:, :-1]), axis=1)
        below_floor = 10 * np.minimum(walkers[:, -1] - np.log(_SMALLEST_NOISE), 0)  # a proper prior there
        return np.where(_rises(weights, rise), likelihood + gamma + below_floor, -np.inf)

    walkers = _first_walkers(values, y, n_walkers, rng)
    falling = ~_rises(_weights(walkers), rise)
    walkers[falling, :-1] = np.where(np.arange(k) == np.argmax(rise), 0.0, -40.0)
    if not _rises(_weights(walkers), rise).all():
        return None
    chain, accepted = _walk(walkers, log_posterior, rng)
    return None if accepted < _LEAST_ACCEPTED else _weights(chain)


def _rises(weights: Array, rise: Array) -> NDArray[np.bool_]:
    return np.asarray(f_comb(weights, rise) >= -_SMALLEST_NOISE)


def _first_walkers(values: Array, y: Array, n_walkers: int, rng: np.random.Generator) -> Array:
    """Return walkers of all weights, and of noise around its maximum-likelihood estimate for equal weights."""
    k = len(values)
    noise = max(float(np.sqrt(np.mean((values.mean(axis=0) - y) ** 2))), _SMALLEST_NOISE)
    log_g = np.log(np.maximum(rng.exponential(size=(n_walkers, k)), 1e-12))
    log_sigma = np.log(noise) + 0.1 * rng.standard_normal((n_walkers, 1))
    return np.hstack([log_g, log_sigma])


def _weights(walkers: Array) -> Array:
    g = np.exp(np.clip(walkers[..., :-1], -50, 50))
    return np.asarray(g / g.sum(axis=-1, keepdims=True))


def _walk(walkers: Array, log_posterior: Callable[[Array], Array], rng: np.random.Generator) -> tuple[Array, float]:
    half, dimensions = len(walkers) // 2, walkers.shape[1]
    height = log_posterior(walkers)
    kept, accepted = np.empty((_STEPS, len(walkers), dimensions)), 0
    for step in range(-_BURN_IN, _STEPS):
        for mine, others in ((slice(0, half), half), (slice(half, 2 * half), 0)):
            z = (1 + (_STRETCH - 1) * rng.random(half)) ** 2 / _STRETCH
            partner = walkers[others + rng.integers(half, size=half)]
            proposed = partner + z[:, None] * (walkers[mine] - partner)
            proposed_height = log_posterior(proposed)
            chance = (dimensions - 1) * np.log(z) + proposed_height - height[mine]
            moves = np.log(1 - rng.random(half)) < chance
            walkers[mine] = np.where(moves[:, None], proposed, walkers[mine])
            height[mine] = np.where(moves, proposed_height, height[mine])
            accepted += int(moves.sum())
        if step >= 0:
            kept[step] = walkers
    return kept, accepted / ((_BURN_IN + _STEPS) * len(walkers))


def _has_converged(predicted: Array) -> bool:
    """Tell whether the chain (``steps x walkers``) has come to rest, and says something."""
    spread = float(predicted.std())
    drift = abs(float(predicted[: len(predicted) // 2].mean() - predicted[len(predicted) // 2 :].mean()))
    return spread <= _LARGEST_DOUBT and drift <= max(spread, _SMALLEST_SPREAD)


def _binned(x: Array, y: Array) -> tuple[Array, Array]:
    if len(x) <= _MOST_POINTS:
        return x, y
    bins = np.array_split(np.arange(len(x)), _MOST_POINTS)
    return np.array([x[one].mean() for one in bins]), np.array([y[one].mean() for one in bins])
