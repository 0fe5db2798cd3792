"""What a trial that was stopped would have come to, judged by the completed trials that were as far as it was."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._metric import MetricError, scalar

Floats = NDArray[np.float64]

LEAST = 5
"""Completed trials that were as far, below which nothing can be said."""

_MOST = 1000  # completed trials that are remembered, the newest


class StoppedTrials:
    """Learning curves of completed trials, and what follows from them for one that was stopped.

    A stopped trial is a censored observation: its result is not known, only where it stood. Like the censored runs of
    Hutter et al. it is imputed with what a model expects of it, and never with less than the bound that is known: it
    was stopped as one that does not belong to the better half. The model is the isotonic regression of the final losses
    of completed trials on their losses at the same step: trials that stood better do better in the end, on the
    average. So stopped trials are told apart by how they did, none looks promising, and none is worse than a failure.

    Parameters
    ----------
    sign
        What to multiply a metric with so that smaller is better.

    References
    ----------
    F. Hutter, H. H. Hoos, K. Leyton-Brown, "Bayesian Optimization With Censored Response Data", NIPS 2011 workshop.
    """

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._running: dict[Any, Floats] = {}
        self._completed: deque[tuple[Floats, float]] = deque(maxlen=_MOST)

    def reported(self, key: Any, values: Sequence[Any]) -> None:
        """Take the intermediate results of a trial that ends, as it reported them."""
        self._running[key] = self._sign * np.array([_number(value) for value in values], dtype=float)

    def completed(self, key: Any, loss: float) -> None:
        """Take the final loss of a trial."""
        curve = self._running.pop(key, None)
        if curve is not None and math.isfinite(loss):
            self._completed.append((curve, loss))

    def stopped(self, key: Any) -> float:
        """Return the loss that a trial without a result counts with; infinity where nothing can be said."""
        curve = self._running.pop(key, None)
        if curve is None or not len(curve) or not math.isfinite(curve[-1]):
            return math.inf
        step = len(curve) - 1
        pairs = [(each[step], loss) for each, loss in self._completed if len(each) > step and math.isfinite(each[step])]
        return imputed(float(curve[-1]), np.array(pairs).reshape(-1, 2))


def imputed(standing: float, pairs: Floats) -> float:
    """Return the loss expected of a trial that stood somewhere, at least the median of the others.

    Parameters
    ----------
    standing
        Its loss when it was stopped.
    pairs : array, shape (n, 2)
        Losses of completed trials at the same step, and in the end.
    """
    if len(pairs) < LEAST:
        return math.inf
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  (scipy waits until it is needed)

    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    expected = isotonic_regression(pairs[:, 1]).x
    return float(max(np.interp(standing, pairs[:, 0], expected), np.median(pairs[:, 1])))


def _number(value: Any) -> float:
    try:
        return scalar(value, "")
    except MetricError:
        return math.nan
