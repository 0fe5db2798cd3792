"""What several algorithms do with encoded configurations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nni.search_space import Encoder, Kind

Floats = NDArray[np.float64]


def prior_rows(encoder: Encoder, n: int, rng: np.random.Generator) -> Floats:
    """Draw ``n`` rows from the prior, shape (n, d); unlike those of :meth:`Encoder.sample`, whole.

    Columns of branches that are not taken have a value, too: what they will be if the branch is taken after all.
    """
    draws = rng.random((n, len(encoder)))
    unbounded = np.isinf(encoder.scale.upper)
    if unbounded.any():
        draws[:, unbounded] = rng.standard_normal((n, int(unbounded.sum())))
    for dimension in encoder.dimensions:
        if dimension.kind is Kind.CATEGORICAL:
            draws[:, dimension.index] = np.floor(draws[:, dimension.index] * (dimension.size or 1))
    return encoder.scale.internal(encoder.scale.values(draws))


def categorical(encoder: Encoder) -> NDArray[np.bool_]:
    """Return a mask, shape (d,), of the columns that hold the index of an option."""
    return np.array([dimension.kind is Kind.CATEGORICAL for dimension in encoder.dimensions], dtype=bool)
