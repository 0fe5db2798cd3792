"""Perturbing hyper-parameters of a model that goes on training (Jaderberg et al. 2017, "explore")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nni.search_space import Choice, Normal, Parameter, RandInt, SearchSpace, Uniform, sample


def explore(
    space: SearchSpace, configuration: Mapping[str, Any], factors: Sequence[float], rng: np.random.Generator
) -> dict[str, Any]:
    """Return a perturbed configuration.

    A number is multiplied with one of the factors and brought back to its bounds and its grid; where the grid would
    put it back to where it was, it moves by one step. A zero, which no factor moves, is drawn anew, and so are options.
    Variables of a branch that is taken only now come from the prior.

    Parameters
    ----------
    space
        The space.
    configuration
        One of the space.
    factors
        What numbers are multiplied with, each as likely.
    rng
        Source of randomness.
    """
    found: dict[str, Any] = {}
    for name, parameter in space.items():
        value = configuration[name]
        if isinstance(parameter, Choice):
            found[name] = _option(parameter, value, factors, rng)
        elif value == 0:
            found[name] = sample(SearchSpace({name: parameter}), rng)[name]
        else:
            found[name] = _perturbed(parameter, value, float(factors[int(rng.integers(len(factors)))]))
    return found


def _option(choice: Choice, value: Any, factors: Sequence[float], rng: np.random.Generator) -> Any:
    option = int(rng.integers(choice.size))
    branch = choice.branches.get(option)
    if branch is None:
        return choice.options[option]
    inner = explore(branch, value, factors, rng) if option == choice.index_of(value) else sample(branch, rng)
    return {"_name": choice.value_at(option), **inner}


def _perturbed(parameter: Parameter, value: Any, factor: float) -> Any:
    moved = value * factor
    if isinstance(parameter, RandInt):
        return min(max(_step(value, moved, 1.0), parameter.low), parameter.high - 1)
    assert isinstance(parameter, (Uniform, Normal))
    if parameter.q is not None:
        steps = _step(round(value / parameter.q), moved, parameter.q)
        first, last = parameter.first_bin, parameter.last_bin
        if parameter.log:
            first = 0 if first is None else first
        steps = steps if first is None else max(steps, first)
        return parameter.value_of_bin(steps if last is None else min(steps, last))
    return min(max(moved, parameter.low), parameter.high) if isinstance(parameter, Uniform) else moved


def _step(before: int, moved: float, q: float) -> int:
    """Return the multiple of q next to a moved number: not the one it came from, if it moved at all."""
    after = round(moved / q)
    if after != before or moved == before * q:
        return after
    return before + (1 if moved > before * q else -1)
