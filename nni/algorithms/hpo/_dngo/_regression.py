"""Bayesian linear regression on given basis functions, its precisions from the marginal likelihood."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

_START_OF_NOISE = 4.0  # logarithms of precisions
_BOUNDS = ((-10.0, 10.0), (-2.0, 12.0))


class BayesianRegression:
    """``y = w . phi(x) + b + noise`` with ``w ~ N(0, 1 / alpha)`` and ``noise ~ N(0, 1 / beta)``.

    Parameters
    ----------
    features : array, shape (n, units)
        Basis functions at the observations. A constant one is added.
    targets : array, shape (n,)
        The observations; of mean about 0 and variance about 1.
    precisions
        Alpha and beta; by default those with the largest marginal likelihood.
    largest_alpha
        The largest precision of the weights that is estimated.

    Attributes
    ----------
    alpha, beta : float
        Precision of the weights and of the noise.

    References
    ----------
    J. Snoek et al., "Scalable Bayesian Optimization Using Deep Neural Networks", ICML 2015, equations 3 to 6; C. M.
    Bishop, "Pattern Recognition and Machine Learning", 2006, equations 3.53, 3.54, 3.59 and 3.86.
    """

    def __init__(
        self,
        features: Floats,
        targets: Floats,
        precisions: tuple[float, float] | None = None,
        largest_alpha: float = math.exp(_BOUNDS[0][1]),
    ) -> None:
        phi = _with_constant(features)
        # One decomposition serves all precisions: the posterior covariance is diagonal in these axes.
        self._eigenvalues, self._axes = np.linalg.eigh(phi.T @ phi)
        self._eigenvalues = np.maximum(self._eigenvalues, 0.0)
        self._projected = self._axes.T @ (phi.T @ targets)
        self._square, self._count = float(targets @ targets), len(targets)
        self.alpha, self.beta = self._most_likely(math.log(largest_alpha)) if precisions is None else precisions
        self._precision = self.alpha + self.beta * self._eigenvalues
        self._weights = self._axes @ (self.beta * self._projected / self._precision)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of the function (without noise), shape (n,) each."""
        phi = _with_constant(features)
        return phi @ self._weights, ((phi @ self._axes) ** 2) @ (1 / self._precision)

    def log_evidence(self, alpha: float, beta: float) -> float:
        """Return the log marginal likelihood of the observations under precisions (Bishop, equation 3.86)."""
        precision = alpha + beta * self._eigenvalues
        fit = beta * self._square - beta**2 * float(self._projected**2 @ (1 / precision))
        half_log_det = 0.5 * (len(precision) * math.log(alpha) - float(np.log(precision).sum()))
        return half_log_det + 0.5 * self._count * math.log(beta / (2 * math.pi)) - 0.5 * fit

    def _most_likely(self, most: float) -> tuple[float, float]:
        def cost(logs: Floats) -> float:
            return -self.log_evidence(math.exp(logs[0]), math.exp(logs[1]))

        start = (min(0.0, most), _START_OF_NOISE)
        found = minimize(cost, start, method="L-BFGS-B", bounds=((_BOUNDS[0][0], most), _BOUNDS[1]))
        return math.exp(found.x[0]), math.exp(found.x[1])


def _with_constant(features: Floats) -> Floats:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)
