"""Mutation: a copy of a configuration with one variable changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nni.algorithms.hpo._rows import Floats, prior_rows
from nni.search_space import Choice, Dimension, Encoder, Kind, Parameter, SearchSpace

STEPS = (0.01, 0.3)
"""Between these, evenly in logarithms, is the standard deviation of a local step, as a share of the range: coarse and
fine steps are both needed, and when, the algorithm does not know. The range of a normal prior is taken to be five
standard deviations."""

LOCAL = 0.75
"""How often a number moves by a local step; otherwise it is drawn from the prior."""


def mutate(encoder: Encoder, parent: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Change one active variable of a configuration (HPO-222).

    Parameters
    ----------
    encoder
        Of the space.
    parent
        The configuration.
    rng
        Source of randomness.

    Returns
    -------
    dict
        A copy with one variable changed; an option becomes another one, a number takes a step or is drawn anew. The
        variables of a branch that is taken only now come from the prior. Equal to the parent if no variable has
        another value, and now and then where a step ends in the same bin.
    """
    row = encoder.encode([parent])[0]
    active = [d for d in encoder.dimensions if not np.isnan(row[d.index]) and d.lower < d.upper]
    if not active:
        return dict(parent)
    whole = np.where(np.isnan(row), prior_rows(encoder, 1, rng)[0], row)
    dimension = active[int(rng.integers(len(active)))]
    whole[dimension.index] = _move(encoder, dimension, whole, rng)
    child = encoder.decode(whole[None])[0]
    return _with_unchanged(encoder.space, child, parent, dimension.parameter)


def _move(encoder: Encoder, dimension: Dimension, row: Floats, rng: np.random.Generator) -> float:
    value = float(row[dimension.index])
    if dimension.kind is Kind.CATEGORICAL:
        options = dimension.size or 1
        return float((value + rng.integers(1, options)) % options)
    if rng.random() < LOCAL:
        step = float(np.exp(rng.uniform(*np.log(STEPS)))) * (5.0 if np.isinf(dimension.upper) else 1.0)
        return value + step * float(rng.normal())
    return float(prior_rows(encoder, 1, rng)[0, dimension.index])


def _with_unchanged(
    space: SearchSpace, child: dict[str, Any], parent: Mapping[str, Any], changed: Parameter
) -> dict[str, Any]:
    """Give a child the very values of its parent: on the way through the encoder they lose their last digit."""
    for name, parameter in space.items():
        if parameter is changed:
            continue
        branches = parameter.branches if isinstance(parameter, Choice) else {}
        option = parameter.index_of(parent[name]) if branches else None
        if option is not None and option in branches:
            child[name] = _with_unchanged(branches[option], child[name], parent[name], changed)
        else:
            child[name] = parent[name]
    return child
