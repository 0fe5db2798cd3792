"""Gaussian mixtures of good and of bad configurations: where to exploit."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

Floats = NDArray[np.float64]

GOOD_SHARE = 0.2  # of the observations
LEAST = 3  # observations on either side
MOST_COMPONENTS = 3
_SMOOTHING = 1e-3  # added to variances in the unit cube: a mixture is never narrower than 3 % of a range


class GoodAndBad:
    """Two mixtures; the ratio of their densities is highest where good observations are and bad ones are not.

    Parameters
    ----------
    points : array, shape (n, d)
        Observations in the unit cube, at least 2 ``LEAST``.
    losses : array, shape (n,)
        Smaller is better.
    avoid : array, shape (m, d)
        Points that count as bad.
    seed
        Of the mixtures' starts.
    """

    def __init__(self, points: Floats, losses: Floats, avoid: Floats, seed: int) -> None:
        count = max(LEAST, math.ceil(GOOD_SHARE * len(points)))
        order = np.argsort(losses, kind="stable")
        self._good = _mixture(points[order[:count]], seed)
        self._bad = _mixture(np.concatenate([points[order[count:]], avoid]), seed)

    def sample(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw points from the good mixture, moved into the unit cube; shape (count, d)."""
        mixture = self._good
        which = rng.choice(len(mixture.weights_), size=count, p=mixture.weights_ / mixture.weights_.sum())
        noise = rng.standard_normal((count, mixture.means_.shape[1])) * np.sqrt(mixture.covariances_[which])
        return np.asarray(np.clip(mixture.means_[which] + noise, 0.0, 1.0))

    def log_ratio(self, points: Floats) -> Floats:
        """Return log good(x) - log bad(x), shape (n,)."""
        return np.asarray(self._good.score_samples(points) - self._bad.score_samples(points))


def _mixture(points: Floats, seed: int) -> GaussianMixture:
    """Fit mixtures of one to three Gaussians with diagonal covariances, and return the one with the best BIC."""
    most = max(1, min(MOST_COMPONENTS, len(points) // 4, len(np.unique(points, axis=0))))
    fitted = []
    for components in range(1, most + 1):
        mixture = GaussianMixture(components, covariance_type="diag", reg_covar=_SMOOTHING, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early end of EM is as good a mixture
            fitted.append(mixture.fit(points))
    return min(fitted, key=lambda mixture: mixture.bic(points))
