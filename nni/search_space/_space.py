"""A parsed search space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from nni.search_space._parameters import Choice, Parameter

ROOT = "searchSpace"


class SearchSpace(Mapping[str, Parameter]):
    """An immutable mapping from names to typed parameters; made by :func:`nni.search_space.parse`.

    Parameters
    ----------
    parameters
        The parameters by name, in the order of the source.
    path
        Where the space is, for error texts; ``searchSpace`` at the top, ``searchSpace.layer0._value[1]`` in a branch.
    """

    __slots__ = ("_parameters", "path")

    def __init__(self, parameters: Mapping[str, Parameter], path: str = ROOT) -> None:
        self._parameters = MappingProxyType(dict(parameters))
        self.path = path

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"SearchSpace({dict(self._parameters)!r})"

    def walk(self) -> Iterator[Parameter]:
        """Yield every parameter, a nested one after its parent."""
        for parameter in self.values():
            yield parameter
            if isinstance(parameter, Choice):
                for branch in parameter.branches.values():
                    yield from branch.walk()

    @property
    def is_nested(self) -> bool:
        """Whether any choice has a sub-space (HPO-041)."""
        return any(isinstance(parameter, Choice) and parameter.branches for parameter in self.values())


def space_size(space: SearchSpace) -> int | None:
    """Count the distinct configurations of a space; None when there is no end to them.

    The options of a nested choice add up, the parameters of one (sub-)space multiply (HPO-256).

    Examples
    --------
    >>> from nni.search_space import parse
    >>> space_size(parse({"a": {"_type": "choice", "_value": [1, 2]}, "b": {"_type": "randint", "_value": [0, 3]}}))
    6
    """
    sizes = [parameter_size(parameter) for parameter in space.values()]
    finite = [size for size in sizes if size is not None]
    return math.prod(finite) if len(finite) == len(sizes) else None


def parameter_size(parameter: Parameter) -> int | None:
    """Count the values of one parameter, sub-spaces included; None when there is no end to them."""
    if not isinstance(parameter, Choice):
        return parameter.size
    sizes = [option_size(parameter, index) for index in parameter.distinct]
    finite = [size for size in sizes if size is not None]
    return sum(finite) if len(finite) == len(sizes) else None


def option_size(choice: Choice, index: int) -> int | None:
    """Count the values behind one option: 1, or the size of its sub-space."""
    return space_size(choice.branches[index]) if index in choice.branches else 1
