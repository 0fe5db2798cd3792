"""The Gaussian process of Metis: the predicted optimum, what a trial would teach, and which results to doubt."""

from __future__ import annotations

import copy

import numpy as np
from scipy.optimize import minimize

from nni.algorithms.hpo._gp import GaussianProcess
from nni.algorithms.hpo._history import Floats
from nni.algorithms.hpo._numeric import NumericHistory

POLISHED_SHARE = 0.02  # of the starting points that are followed down to a local minimum
_STEPS = 30  # of L-BFGS-B
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def lowest(process: GaussianProcess, history: NumericHistory, starts: Floats, kappa: float = 0.0) -> Floats:
    """Search for the least ``mean - kappa * deviation`` from several starting points.

    Parameters
    ----------
    process
        A model of the unit cube.
    history
        Knows which points a configuration can have.
    starts : array, shape (n, d)
        Where to start from. All are looked at, and the best of them followed down the gradient.
    kappa
        Weight of the deviation: 0 for the predicted optimum, more for the lower end of a confidence interval.

    Returns
    -------
    array, shape (m, d)
        Distinct points of configurations, the lowest first; m is at least 1.
    """
    order = np.argsort(_bound(process, starts, kappa), kind="stable")
    best = starts[order[: max(3, round(POLISHED_SHARE * len(starts)))]]
    shape = best.shape

    def total(flat: Floats) -> tuple[float, Floats]:
        mean, variance, by_mean, by_variance = process.predict_with_gradient(flat.reshape(shape))
        deviation = np.sqrt(variance)
        slope = by_mean - 0.5 * kappa * by_variance / deviation[:, None]
        return float((mean - kappa * deviation).sum()), slope.ravel()

    result = minimize(
        total, best.ravel(), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * best.size, options={"maxiter": _STEPS}
    )
    found = np.unique(history.snapped(np.concatenate([best, result.x.reshape(shape)])), axis=0)
    return np.asarray(found[np.argsort(_bound(process, found, kappa), kind="stable")])


def _bound(process: GaussianProcess, points: Floats, kappa: float) -> Floats:
    if kappa == 0:
        return process.predict_mean(points)
    mean, variance = process.predict(points)
    return np.asarray(mean - kappa * np.sqrt(variance))


def information_gain(
    process: GaussianProcess, values: Floats, candidate: Floats, where: Floats, surprise: float = 0.0
) -> float:
    """Return by how much a trial is expected to lower the predicted optimum.

    ``min mean - E[min mean after the trial]``: the knowledge gradient (Frazier, Powell and Dayanik 2009, "The
    Knowledge-Gradient Policy for Correlated Normal Beliefs", equation 4), over a finite set of points. What the model
    will say after the trial is linear in its result, so that two made-up results tell it for all.

    Parameters
    ----------
    process
        The model.
    values : array, shape (m,)
        The observations that it is conditioned on.
    candidate : array, shape (d,)
        The point of the trial.
    where : array, shape (n, d)
        Points at which the optimum may be.
    surprise
        How far apart the result so far and what the others predict are, at a doubtful point. Which of them is right is
        open, so the next result is taken to spread at least that much.
    """
    points = np.concatenate([where, candidate[None]])
    mean, variance = process.predict(candidate[None])
    spread = np.maximum(np.sqrt(variance + process.hyperparameters.noise), surprise)  # of a result, noise included
    after = copy.copy(process).extend(candidate[None], mean)
    as_expected = after.predict_mean(points)
    slope = after.revalue(np.append(values, mean + spread)).predict_mean(points) - as_expected
    expected = float(_WEIGHTS @ (as_expected[:, None] + slope[:, None] * _NODES).min(axis=0))
    return float(as_expected.min()) - expected


def surprises(process: GaussianProcess, points: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return how far each observation is from what the others predict there, and that in standard deviations.

    Leave-one-out predictions in closed form (Rasmussen and Williams 2006, equations 5.10 to 5.12), the constant mean
    estimated from the others too. Shape (n,) each.

    Parameters
    ----------
    process
        Its hyperparameters are used.
    points : array, shape (n, d)
        The observations.
    values : array, shape (n,)
        Their values.
    """
    parameters = process.hyperparameters
    embedded = process.kernel.embed(points)
    correlation, _ = process.kernel.value(parameters.kernel, embedded, embedded)
    covariance = parameters.scale * correlation
    covariance.flat[:: len(points) + 1] += parameters.noise
    inverse = np.linalg.pinv(covariance, hermitian=True)
    ones = inverse.sum(axis=1)
    centred = inverse - np.outer(ones, ones) / ones.sum()  # its product with the values does not depend on the mean
    distance = np.abs(centred @ values) / np.maximum(np.diagonal(centred), 1e-300)
    return distance, distance * np.sqrt(np.maximum(np.diagonal(inverse), 0.0))
