"""Finite spaces as one long list that is never written out: any element by its number, any number by its element.

Configurations are numbered in mixed radix, the last parameter turning fastest; the digits of a nested choice are laid
end to end, branch after branch (HPO-256). Both directions take time proportional to one configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nni.search_space._parameters import Choice, Parameter
from nni.search_space._space import SearchSpace, option_size, parameter_size


def nth_configuration(space: SearchSpace, index: int) -> dict[str, Any]:
    """Return the configuration with this number.

    Parameters
    ----------
    space
        A finite space.
    index
        ``0 <= index < space_size(space)``.

    Raises
    ------
    IndexError
        If there is no such number.
    TypeError
        If the space is not finite.
    """
    digits: dict[str, Any] = {}
    for name in reversed(list(space)):
        size = _radix(space[name])
        index, digit = divmod(index, size)
        digits[name] = _value_at(space[name], digit)
    if index != 0:
        raise IndexError("there is no configuration of that number")
    return {name: digits[name] for name in space}


def configuration_index(space: SearchSpace, configuration: Mapping[str, Any]) -> int | None:
    """Return the number of a configuration, or None if it is none of the space's.

    Quantised values are compared by their bin, not by ``==`` (X-57).
    """
    if len(configuration) != len(space):
        return None
    index = 0
    for name, parameter in space.items():
        digit = _index_of(parameter, configuration[name]) if name in configuration else None
        if digit is None:
            return None
        index = index * _radix(parameter) + digit
    return index


def _radix(parameter: Parameter) -> int:
    size = parameter_size(parameter)
    if size is None:
        raise TypeError(f"{parameter.path} ({parameter.type}) has no end of values")
    return size


def _value_at(parameter: Parameter, digit: int) -> Any:
    if not isinstance(parameter, Choice):
        return parameter.value_at(digit)
    for option in parameter.distinct:
        size = option_size(parameter, option) or 0
        if digit < size:
            return _option_value(parameter, option, digit)
        digit -= size
    raise IndexError("there is no option of that number")


def _option_value(choice: Choice, option: int, digit: int) -> Any:
    if option not in choice.branches:
        return choice.options[option]
    return {"_name": choice.value_at(option), **nth_configuration(choice.branches[option], digit)}


def _index_of(parameter: Parameter, value: Any) -> int | None:
    option = parameter.index_of(value)
    if not isinstance(parameter, Choice) or option is None:
        return option
    inside = 0
    if option in parameter.branches:
        rest = {key: item for key, item in value.items() if key != "_name"}
        found = configuration_index(parameter.branches[option], rest)
        if found is None:
            return None
        inside = found
    return inside + sum(option_size(parameter, other) or 0 for other in parameter.distinct if other < option)
