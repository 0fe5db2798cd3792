"""Which algorithm takes which types (HPO-070 … HPO-086)."""

from __future__ import annotations

from collections.abc import Collection

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice
from nni.search_space._space import SearchSpace


def require(
    space: SearchSpace,
    supported: Collection[str],
    algorithm: str,
    *,
    nested: bool = True,
    numeric_choice_only: bool = False,
) -> None:
    """Refuse a space that an algorithm cannot search (HPO-086).

    Parameters
    ----------
    space
        The space.
    supported
        The ``_type`` names that the algorithm takes.
    algorithm
        Its name, for the error text.
    nested
        Whether it takes choices with sub-spaces.
    numeric_choice_only
        Whether the options of a choice must be numbers, because the algorithm works with distances (HPO-085).

    Raises
    ------
    SearchSpaceError
        Naming the first variable that does not fit, its type, and what would fit.
    """
    for parameter in space.walk():
        if parameter.type not in supported:
            raise SearchSpaceError(
                parameter.path,
                f"{algorithm} does not support variables of type {parameter.type}; it supports {', '.join(supported)}",
            )
        if isinstance(parameter, Choice):
            _require_choice(parameter, algorithm, nested=nested, numeric_choice_only=numeric_choice_only)


def _require_choice(choice: Choice, algorithm: str, *, nested: bool, numeric_choice_only: bool) -> None:
    if choice.branches and not nested:
        raise SearchSpaceError(choice.path, f"{algorithm} does not support nested choice")
    if numeric_choice_only and not choice.is_numeric:
        raise SearchSpaceError(choice.path, f"{algorithm} supports choice only among numbers")
