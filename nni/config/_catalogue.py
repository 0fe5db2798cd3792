"""What the search-space room and the registry of algorithms say about a configuration: the one place that asks them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, cast

from nni.common.errors import NniError
from nni.config._errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nni.config._algorithm import _AlgorithmConfig

Kind = Literal["tuner", "assessor", "advisor"]

_PATH_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def names(kind: Kind) -> list[str]:
    """Return the names of the algorithms of a kind."""
    from nni.algorithms import registry  # noqa: PLC0415  # only for a start

    return registry.names(kind)


def constraint_problem(expression: str, space: Any) -> str | None:
    """Return what is wrong with a constraint, or None."""
    from nni.search_space import Constraint, SearchSpaceError, parse  # noqa: PLC0415  # only for a start

    try:
        constraint = Constraint(expression)
    except SearchSpaceError as error:
        return error.problem
    try:
        parsed = parse(space, allow_custom=True)
    except SearchSpaceError:  # told of the search space
        return None
    try:
        constraint.check_names(parsed)
    except SearchSpaceError as error:
        return error.problem
    return None


def registered_faults(kind: Kind, algorithm: _AlgorithmConfig) -> Iterator[Fault]:
    """Yield what is wrong with an algorithm given by name, and with its arguments (HPO-443)."""
    from nni.algorithms import registry  # noqa: PLC0415  # only for a start

    name = str(algorithm.name)
    try:
        registry.find(name, kind)
    except registry.AlgorithmError as error:
        yield Fault(("name",), str(error))
        return
    try:
        registry.validate_class_args(name, algorithm.class_args, kind)
    except NniError as error:
        yield _argument_fault(error)
    except Exception as error:  # noqa: BLE001  # a validator of a user's may raise anything (HPO-390)
        yield Fault(("classArgs",), " ".join(f"{error}".split()) or type(error).__name__)


def is_built_in(kind: Kind, algorithm: _AlgorithmConfig) -> bool:
    """Say whether an algorithm is one of NNI's own, whose search space has the documented form."""
    from nni.algorithms import registry  # noqa: PLC0415  # only for a start

    try:
        return algorithm.name is not None and registry.find(algorithm.name, kind).source == "nni"
    except registry.AlgorithmError:
        return False


def needs_search_space(kind: Kind, name: str | None) -> bool:
    """Say whether an algorithm searches a space that users describe; NetworkMorphism has its own (HPO-083)."""
    from nni.algorithms import registry  # noqa: PLC0415  # only for a start

    try:
        return name is None or registry.find(name, kind).needs_search_space
    except registry.AlgorithmError:
        return True


def maximizes(kind: Kind, algorithm: _AlgorithmConfig) -> bool:
    """Say whether an algorithm of NNI's own maximizes because nothing tells it not to (X-01)."""
    is_told = "optimize_mode" in algorithm.class_args
    return not is_told and is_built_in(kind, algorithm) and algorithm.name not in {"GridSearch", "BatchTuner"}


def search_space_faults(space: Any, name: str | None = None, kind: Kind | None = None) -> Iterator[Fault]:
    """Yield why one of NNI's own algorithms (or any) cannot search a space (HPO-086); paths are within the space."""
    from nni.algorithms import registry  # noqa: PLC0415  # only for a start

    for error in registry.search_space_faults(space, name, kind):
        parts = _PATH_PART.findall(error.path)
        yield Fault(tuple(int(index) if index else name for index, name in parts[1:]), error.problem)


def _argument_fault(error: NniError) -> Fault:
    argument = getattr(error, "argument", None)
    if argument is None:
        return Fault(("classArgs",), str(error))
    path = ("classArgs", argument) if argument else ("classArgs",)
    return Fault(path, cast("Any", error).problem)
