"""Configurations: are they the space's, and how do they read on one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice, Custom, Normal, Parameter, RandInt, Uniform
from nni.search_space._space import SearchSpace


def check_configuration(space: SearchSpace, configuration: Any, path: str = "parameter") -> None:
    """Check that a configuration, e.g. one to import, is one of the space (HPO-452).

    Parameters
    ----------
    space
        The space.
    configuration
        ``{name: value}``; nested choices as ``{"_name": ..., sub-variable: value}`` (HPO-055).
    path
        Name of the configuration in error texts.

    Raises
    ------
    SearchSpaceError
        For the first missing or unknown variable or wrong value, with its path.
    """
    if not isinstance(configuration, Mapping):
        raise SearchSpaceError(path, f"expected an object of variables, got {configuration!r}")
    for name in configuration:
        if name not in space:
            near = difflib.get_close_matches(str(name), space, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise SearchSpaceError(f"{path}.{name}", f"the search space has no such variable{hint}")
    for name, parameter in space.items():
        if name not in configuration:
            raise SearchSpaceError(f"{path}.{name}", f"missing; {parameter.path} is in the search space")
        _check_value(parameter, configuration[name], f"{path}.{name}")


def contains(space: SearchSpace, configuration: Any) -> bool:
    """Tell whether a configuration is one of the space."""
    try:
        check_configuration(space, configuration)
    except SearchSpaceError:
        return False
    return True


def flatten(configuration: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lay a configuration out flat, for tables and plots.

    Examples
    --------
    >>> flatten({"layer0": {"_name": "conv", "kernel": 3}, "lr": 0.1})
    {'layer0': 'conv', 'layer0.kernel': 3, 'lr': 0.1}
    """
    flat: dict[str, Any] = {}
    for name, value in configuration.items():
        if isinstance(value, Mapping) and "_name" in value:
            flat[prefix + name] = value["_name"]
            flat |= flatten({key: item for key, item in value.items() if key != "_name"}, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _check_value(parameter: Parameter, value: Any, path: str) -> None:
    if isinstance(parameter, Custom):
        return
    if isinstance(parameter, Choice):
        _check_option(parameter, value, path)
    elif not _takes(parameter, value):
        raise SearchSpaceError(path, f"{value!r} is not a value of {_describe(parameter)}")


def _check_option(choice: Choice, value: Any, path: str) -> None:
    option = choice.index_of(value)
    if option is None:
        known = ", ".join(repr(choice.value_at(index)) for index in range(min(choice.size, 10)))
        more = ", …" if choice.size > 10 else ""
        raise SearchSpaceError(path, f"{value!r} is not one of the options {known}{more}")
    if option in choice.branches:
        rest = {key: item for key, item in value.items() if key != "_name"}
        check_configuration(choice.branches[option], rest, path)


def _takes(parameter: Parameter, value: Any) -> bool:
    if isinstance(parameter, RandInt):
        return parameter.index_of(value) is not None
    return isinstance(parameter, (Uniform, Normal)) and parameter.contains(value)


def _describe(parameter: Parameter) -> str:
    if isinstance(parameter, RandInt):
        return f"randint [{parameter.low}, {parameter.high}]"
    if isinstance(parameter, Uniform):
        numbers = [parameter.low, parameter.high, parameter.q]
    else:
        assert isinstance(parameter, Normal)
        numbers = [parameter.mu, parameter.sigma, parameter.q]
    return f"{parameter.type} [{', '.join(f'{number:g}' for number in numbers if number is not None)}]"
