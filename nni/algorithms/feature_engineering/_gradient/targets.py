"""What is to be explained: centred target columns of unit total variance, and a weight for each row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Targets(NamedTuple):
    """Targets of n rows.

    Attributes
    ----------
    values
        Array of shape (n, C), weighted mean 0, the weighted variances of the C columns sum to 1.
    weights
        Array of shape (n,), mean 1.
    """

    values: Any
    weights: Any


def real_targets(y: Any) -> Targets:
    """Return the targets of a regression."""
    return _normalised(np.asarray(y, dtype=np.float64)[:, None], np.ones(len(y)))


def class_targets(codes: Any, n_classes: int, *, ordinal: bool, balanced: bool) -> Targets:
    """Return the targets of a classification.

    Parameters
    ----------
    codes
        Integers from 0 to ``n_classes - 1``, shape (n,).
    n_classes
        How many classes there are, at least 2.
    ordinal
        One column with the rank of the class (FE-041); otherwise an indicator column for each class.
    balanced
        Weigh the rows so that every class has the same total weight (FE-042).
    """
    counts = np.bincount(codes, minlength=n_classes)
    weights = (len(codes) / n_classes / counts)[codes] if balanced else np.ones(len(codes))
    if ordinal or n_classes == 2:
        values = codes[:, None].astype(np.float64)
    else:
        values = (codes[:, None] == np.arange(n_classes)).astype(np.float64)
    return _normalised(values, weights)


def _normalised(values: Any, weights: Any) -> Targets:
    values = values - np.average(values, axis=0, weights=weights)
    spread = np.average(values**2, axis=0, weights=weights).sum()
    return Targets(values / np.sqrt(spread), weights)
