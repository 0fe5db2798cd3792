"""Metrics of classifiers and regressors, for trials that report one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike


class Metric(ABC):
    """Something to measure, and which way it is better."""

    higher_better: ClassVar[bool]

    @classmethod
    @abstractmethod
    def compute(cls, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the metric of predictions against what they should have been."""


class Accuracy(Metric):
    """The share of right classes; predictions are class numbers."""

    higher_better = True

    @classmethod
    def compute(cls, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the accuracy, 0 to 1."""
        return float(np.mean(np.asarray(prediction) == np.asarray(target)))


class MSE(Metric):
    """The mean squared error."""

    higher_better = False

    @classmethod
    def compute(cls, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the mean squared error."""
        return float(np.mean((np.asarray(prediction, dtype=float) - np.asarray(target, dtype=float)) ** 2))
