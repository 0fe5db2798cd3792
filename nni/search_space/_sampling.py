"""Draws from the prior of a space, by the documented formulae (HPO-040 … HPO-055)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice, Normal, Parameter, RandInt, Uniform
from nni.search_space._scale import Scale
from nni.search_space._space import SearchSpace


def sample(space: SearchSpace, rng: np.random.Generator) -> dict[str, Any]:
    """Draw one configuration.

    Parameters
    ----------
    space
        The space.
    rng
        The only source of randomness: the same state gives the same configuration.

    Returns
    -------
    dict
        ``{name: value}``; a nested choice is ``{"_name": ..., sub-variable: value}``, without the variables of
        branches not taken (HPO-055). Values are plain Python objects; ``randint`` gives int, all other numeric types
        float (HPO-054).
    """
    return sample_many(space, 1, rng)[0]


def sample_many(space: SearchSpace, n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Draw ``n`` independent configurations; see :func:`sample`."""
    configurations: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, parameter in space.items():
        for configuration, value in zip(configurations, _draw(parameter, n, rng), strict=True):
            configuration[name] = value
    return configurations


def _draw(parameter: Parameter, n: int, rng: np.random.Generator) -> list[Any]:
    if isinstance(parameter, Choice):
        return _draw_options(parameter, n, rng)
    if isinstance(parameter, RandInt):
        return list(rng.integers(parameter.low, parameter.high, size=n).tolist())
    if isinstance(parameter, Uniform):
        return list(Scale.of(parameter).values(rng.uniform(size=n)).tolist())
    if isinstance(parameter, Normal):
        return list(Scale.of(parameter).values(rng.standard_normal(n)).tolist())
    raise SearchSpaceError(parameter.path, f"type {parameter.type} is known to custom tuners only")


def _draw_options(choice: Choice, n: int, rng: np.random.Generator) -> list[Any]:
    picks = rng.integers(choice.size, size=n).tolist()
    values = [choice.options[index] for index in picks]
    for index in sorted(choice.branches.keys() & set(picks)):
        rows = [row for row, pick in enumerate(picks) if pick == index]
        for row, sub in zip(rows, sample_many(choice.branches[index], len(rows), rng), strict=True):
            values[row] = {"_name": choice.value_at(index), **sub}
    return values
