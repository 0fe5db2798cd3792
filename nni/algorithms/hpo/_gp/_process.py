"""Gaussian process regression: hyperparameters by their posterior, prediction, and the gradient of a prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dtrtrs
from scipy.optimize import minimize

from nni.algorithms.hpo._gp._kernel import Embedded, Kernel
from nni.algorithms.hpo._gp._matern import HALF_LOG_2PI, Floats, log_normal_density

LEAST_NOISE = 1e-7
"""As a share of the variance of standardised observations."""

_NOISE_PRIOR = (-9.0, 3.0)  # logarithm of the noise variance: most objectives have little of it
_SCALE_PRIOR = (0.0, 1.0)  # logarithm of the amplitude of standardised observations
_BOUND = 4.0  # standard deviations of the prior that a hyperparameter may be off its mean
_WORST = 1e25  # what stands for a likelihood that cannot be computed


@dataclass(frozen=True)
class Hyperparameters:
    """Of a process.

    Attributes
    ----------
    kernel : array
        Logarithms, see :class:`Kernel`.
    scale
        Amplitude: variance of the function.
    noise
        Variance of the noise.
    """

    kernel: Floats
    scale: float
    noise: float


class GaussianProcess:
    """A Gaussian process with a constant mean that is estimated along with it.

    Observations should be near zero mean and unit variance; see :mod:`._warp`.

    Parameters
    ----------
    kernel
        The covariance.
    noise
        Variance of the noise; None to estimate it.
    least_noise
        What is added to it in any case; keeps the matrix invertible.

    Attributes
    ----------
    hyperparameters : Hyperparameters
        Those of the prior until :meth:`fit` was called.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.linspace(0, 1, 9)[:, None]
    >>> process = GaussianProcess(Kernel.numeric(1)).fit(rows, np.sin(6 * rows[:, 0]))
    >>> mean, variance = process.predict(np.array([[0.3]]))
    >>> bool(abs(mean[0] - np.sin(1.8)) < 0.02)
    True

    References
    ----------
    C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006: Alg. 2.1, Eq. 5.8, 5.9.
    """

    def __init__(self, kernel: Kernel, noise: float | None = None, least_noise: float = LEAST_NOISE) -> None:
        self.kernel = kernel
        self._fixed_noise = noise
        self._least_noise = least_noise
        mean, _ = self._prior()
        self.hyperparameters = self._unpack(mean)
        self._rows: Embedded | None = None

    # ------------------------------------------------------------------------------------------ fitting

    def fit(self, rows: Floats, values: Floats, iterations: int = 60) -> GaussianProcess:
        """Find the most likely hyperparameters, and condition on the observations.

        Parameters
        ----------
        rows : array, shape (n, d)
            Configurations; NaN where inactive.
        values : array, shape (n,)
            Observations.
        iterations
            The most steps of L-BFGS-B.
        """
        embedded = self.kernel.embed(rows)
        mean, deviation = self._prior()
        result = minimize(
            lambda theta: self._negative_log_posterior(theta, embedded, values),
            mean,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([mean - _BOUND * deviation, mean + _BOUND * deviation], axis=1),
            options={"maxiter": iterations},
        )
        self.hyperparameters = self._unpack(result.x)
        return self.condition(rows, values)

    def log_posterior(self, rows: Floats, values: Floats) -> float:
        """Return the log marginal likelihood of observations plus the log prior of the hyperparameters."""
        return -self._negative_log_posterior(self._pack(), self.kernel.embed(rows), values)[0]

    def _prior(self) -> tuple[Floats, Floats]:
        mean, deviation = self.kernel.prior()
        scale = _SCALE_PRIOR if not self.kernel.branches else (0.0, 0.3)  # branches have amplitudes of their own
        own = [scale] if self._fixed_noise is not None else [scale, _NOISE_PRIOR]
        return (np.append(mean, [m for m, _ in own]), np.append(deviation, [d for _, d in own]))

    def _unpack(self, theta: Floats) -> Hyperparameters:
        size = self.kernel.size
        noise = self._fixed_noise if self._fixed_noise is not None else math.exp(theta[size + 1])
        return Hyperparameters(theta[:size], math.exp(theta[size]), noise + self._least_noise)

    def _pack(self) -> Floats:
        own = [math.log(self.hyperparameters.scale)]
        if self._fixed_noise is None:
            own.append(math.log(max(self.hyperparameters.noise - self._least_noise, 1e-30)))
        return np.append(self.hyperparameters.kernel, own)

    def _negative_log_posterior(self, theta: Floats, rows: Embedded, values: Floats) -> tuple[float, Floats]:
        parameters, n = self._unpack(theta), len(values)
        correlation, tape = self.kernel.value(parameters.kernel, rows, rows)
        covariance = parameters.scale * correlation
        covariance.flat[:: n + 1] += parameters.noise
        lower, failed = dpotrf(covariance, lower=1, clean=0)
        if failed:
            return _WORST, np.zeros_like(theta)
        inverse, _ = dpotri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        ones = inverse.sum(axis=1)
        residual = values - (ones @ values) / ones.sum()  # the most likely constant mean
        alpha = inverse @ residual
        half_log_det = float(np.log(np.diagonal(lower)).sum())
        likelihood = -0.5 * float(residual @ alpha) - half_log_det - n * HALF_LOG_2PI
        outer = 0.5 * (np.outer(alpha, alpha) - inverse)
        gradient = np.zeros_like(theta)
        size = self.kernel.size
        gradient[:size] = parameters.scale * self.kernel.by_theta(parameters.kernel, rows, tape, outer)
        gradient[size] = parameters.scale * float((outer * correlation).sum())
        if self._fixed_noise is None:
            gradient[size + 1] = float(np.trace(outer)) * (parameters.noise - self._least_noise)
        mean, deviation = self._prior()
        density, slope = log_normal_density(theta, mean, deviation)
        return -(likelihood + density), -(gradient + slope)

    # ------------------------------------------------------------------------------------------ conditioning

    def condition(self, rows: Floats, values: Floats) -> GaussianProcess:
        """Take observations in place of those so far, and keep the hyperparameters."""
        self._rows = self.kernel.embed(rows)
        n, parameters = len(values), self.hyperparameters
        correlation, _ = self.kernel.value(parameters.kernel, self._rows, self._rows)
        covariance = parameters.scale * correlation
        covariance.flat[:: n + 1] += parameters.noise
        jitter = 1e-10
        self._lower, failed = dpotrf(covariance, lower=1)
        while failed:  # observations so near each other that rounding makes the matrix indefinite
            covariance.flat[:: n + 1] += jitter * parameters.scale
            self._lower, failed = dpotrf(covariance, lower=1)
            jitter *= 10
        self._raw_rows, self._values = rows, values
        self._settle()
        return self

    def extend(self, rows: Floats, values: Floats) -> GaussianProcess:
        """Take further observations, in time proportional to n² each."""
        if self._rows is None:
            return self.condition(rows, values)
        parameters = self.hyperparameters
        new = self.kernel.embed(rows)
        cross, _ = self.kernel.value(parameters.kernel, self._rows, new)
        own, _ = self.kernel.value(parameters.kernel, new, new)
        half, _ = dtrtrs(self._lower, parameters.scale * cross, lower=1)
        rest = parameters.scale * own - half.T @ half
        rest.flat[:: len(rows) + 1] += parameters.noise
        corner, failed = dpotrf(rest, lower=1)
        all_rows, all_values = np.concatenate([self._raw_rows, rows]), np.concatenate([self._values, values])
        if failed:
            return self.condition(all_rows, all_values)
        n, m = len(self._values), len(rows)
        lower = np.zeros((n + m, n + m), order="F")
        lower[:n, :n], lower[n:, :n], lower[n:, n:] = self._lower, half.T, corner
        self._lower, self._raw_rows, self._values = lower, all_rows, all_values
        self._rows = self.kernel.embed(all_rows)
        self._settle()
        return self

    def revalue(self, values: Floats) -> GaussianProcess:
        """Take other observations at the same rows."""
        self._values = values
        self._settle()
        return self

    def _settle(self) -> None:
        ones = self._solve(np.ones(len(self._values)))
        self.mean = float(ones @ self._values) / float(ones.sum())
        self._alpha = self._solve(self._values - self.mean)

    def _solve(self, right: Floats) -> Floats:
        half, _ = dtrtrs(self._lower, right, lower=1)
        whole, _ = dtrtrs(self._lower, half, lower=1, trans=1)
        return np.asarray(whole)

    # ------------------------------------------------------------------------------------------ prediction

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of the function (without noise) at rows, each of shape (n,)."""
        assert self._rows is not None, "fit or condition comes first"
        parameters = self.hyperparameters
        embedded = self.kernel.embed(rows)
        cross, _ = self.kernel.value(parameters.kernel, embedded, self._rows)
        mean = self.mean + parameters.scale * (cross @ self._alpha)
        half, _ = dtrtrs(self._lower, parameters.scale * cross.T, lower=1)
        prior = parameters.scale * self.kernel.diagonal(parameters.kernel, embedded)
        return mean, np.maximum(prior - (half**2).sum(axis=0), 1e-12 * parameters.scale)

    def predict_mean(self, rows: Floats) -> Floats:
        """Return the mean alone, which takes n times less work."""
        assert self._rows is not None, "fit or condition comes first"
        cross, _ = self.kernel.value(self.hyperparameters.kernel, self.kernel.embed(rows), self._rows)
        return np.asarray(self.mean + self.hyperparameters.scale * (cross @ self._alpha))

    def predict_with_gradient(self, rows: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return mean, variance, and the gradients of both by the numbers in the rows, each of shape (n, d)."""
        assert self._rows is not None, "fit or condition comes first"
        parameters = self.hyperparameters
        embedded = self.kernel.embed(rows)
        pair = (embedded, self._rows)
        cross, tape = self.kernel.value(parameters.kernel, *pair)
        mean = self.mean + parameters.scale * (cross @ self._alpha)
        solved = self._solve(parameters.scale * cross.T).T
        prior = parameters.scale * self.kernel.diagonal(parameters.kernel, embedded)
        variance = np.maximum(prior - parameters.scale * (cross * solved).sum(axis=1), 1e-12 * parameters.scale)
        by_mean, by_variance = np.zeros(rows.shape), np.zeros(rows.shape)
        alpha = np.broadcast_to(parameters.scale * self._alpha, cross.shape)
        self.kernel.by_rows(parameters.kernel, pair, tape, alpha, by_mean)
        self.kernel.by_rows(parameters.kernel, pair, tape, -2 * parameters.scale * solved, by_variance)
        return mean, variance, by_mean, by_variance

    def smoothed(self) -> Floats:
        """Return the mean at the observed rows, shape (n,)."""
        return np.asarray(self._values - self.hyperparameters.noise * self._alpha)
