"""The prior of encoded configurations: densities, bin masses, and the unit cube it stretches."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from nni.search_space._encoder import Encoder, Kind
from nni.search_space._scale import Floats


def log_prior(encoder: Encoder, rows: Floats) -> Floats:
    """Return the logarithm of the prior of every entry, shape (n, d); NaN where inactive.

    The mass of its bin for a quantised, integer or categorical entry (HPO-052); the density on the internal scale for
    a real one.
    """
    lower, upper = encoder.edges(rows)
    normal = np.isinf(encoder.scale.upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        mass = np.log(np.where(normal, ndtr(upper) - ndtr(lower), upper - lower))
    density = np.where(normal, -0.5 * rows**2 - 0.5 * np.log(2 * np.pi), 0.0)
    logs = np.where(np.isnan(lower), density, mass)  # entries without a bin
    for dimension in encoder.dimensions:
        if dimension.kind is Kind.CATEGORICAL:
            logs[:, dimension.index] = -np.log(dimension.size or 1)
        elif dimension.lower == dimension.upper:  # a constant, whose one bin has no width
            logs[:, dimension.index] = 0.0
    return np.where(np.isnan(rows), np.nan, logs)


def to_unit(encoder: Encoder, rows: Floats) -> Floats:
    """Map numeric columns to [0, 1] through the prior's distribution function; other columns stay as they are.

    A bounded prior is uniform on [0, 1] already; a normal one goes through the normal distribution function. For
    models that need a box (Gaussian processes, networks).
    """
    return np.where(np.isinf(encoder.scale.upper), ndtr(rows), rows)


def from_unit(encoder: Encoder, rows: Floats) -> Floats:
    """Map back from :func:`to_unit`; numbers outside [0, 1] are clipped, and the ends are kept finite."""
    inside = np.clip(rows, 1e-12, 1 - 1e-12)
    clipped = np.clip(rows, encoder.scale.lower, encoder.scale.upper)
    return np.where(np.isinf(encoder.scale.upper), ndtri(inside), clipped)
