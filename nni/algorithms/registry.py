"""The algorithms that a config can name, and how to check and build them (HPO-160 … HPO-176).

Standard library only; an algorithm's own module is imported when it is built.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from nni.algorithms import _registered
from nni.algorithms._builtins import BUILTINS, Algorithm, Kind
from nni.algorithms._class_args import ClassArgsError, ClassArgsValidator
from nni.common.errors import NniError
from nni.search_space import SearchSpaceError, parse

__all__ = [
    "Algorithm",
    "AlgorithmError",
    "Kind",
    "algorithms",
    "class_args_for_launch",
    "create",
    "find",
    "load_class",
    "names",
    "search_space_faults",
    "validate_class_args",
]


class AlgorithmError(NniError):
    """A name that is no algorithm, or an algorithm that cannot be loaded."""


def algorithms(kind: Kind | None = None) -> list[Algorithm]:
    """Return all algorithms, or those of one kind."""
    return [algorithm for algorithm in _table().values() if kind in (None, algorithm.kind)]


def names(kind: Kind | None = None) -> list[str]:
    """Return the names of all algorithms, or of those of one kind."""
    return [algorithm.name for algorithm in algorithms(kind)]


def find(name: str, kind: Kind | None = None) -> Algorithm:
    """Look an algorithm up by its name; upper and lower case do not matter.

    Parameters
    ----------
    name
        As in a config, e.g. ``TPE``.
    kind
        What it must be; any kind by default.

    Raises
    ------
    AlgorithmError
        If there is none of that name and kind; the text names the nearest ones.
    """
    found = _table().get(name) or _ignoring_case(name, _table())
    if found is None:
        raise AlgorithmError(_unknown(name, kind))
    if kind not in (None, found.kind):
        raise AlgorithmError(
            f"{found.name!r} is {_article(found.kind)}, not {_article(kind)}; available: {', '.join(names(kind))}"
        )
    return found


def class_args_for_launch(name: str, class_args: Mapping[str, Any] | None, kind: Kind | None = None) -> dict[str, Any]:
    """Return the arguments to construct an algorithm with, given those of a config.

    Adds what the name stands for (``algorithm_name`` of TPE) and the defaults that a config has and the class has not
    (``optimize_mode: maximize``, X-01). A class used from Python keeps the defaults of its signature.
    """
    algorithm = find(name, kind)
    return {**algorithm.launch_defaults, **(class_args or {}), **algorithm.bound_args}


def validate_class_args(name: str, class_args: Mapping[str, Any] | None, kind: Kind | None = None) -> None:
    """Check the class arguments of a config with the algorithm's validator; one without a validator accepts all.

    Raises
    ------
    AlgorithmError
        If there is no such algorithm or its validator cannot be loaded.
    ClassArgsError
        If an argument is unknown, missing or wrong. A validator of the user's may raise anything (HPO-390).
    """
    algorithm = find(name, kind)
    given = {} if class_args is None else class_args
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise ClassArgsError("", f"expected an object of named arguments, got {given!r}")
    _validator(algorithm).validate_class_args(**given)


def search_space_faults(raw: Any, name: str | None = None, kind: Kind | None = None) -> list[SearchSpaceError]:
    """Return why an algorithm cannot search a space: the first fault of each variable at the top.

    Parameters
    ----------
    raw
        The search space as users write it.
    name, kind
        As in :func:`find`; without a name, what is no search space for any of the built-in algorithms.
    """
    check = getattr(_validator(find(name, kind)), "validate_search_space", None) if name else None

    def fault(part: Any) -> SearchSpaceError | None:
        try:
            space = parse(part, allow_custom=bool(name) and check is None)
            if check is not None:
                check(space)
        except SearchSpaceError as error:
            return error
        return None

    if (first := fault(raw)) is None:
        return []
    variables = raw.items() if isinstance(raw, Mapping) else ()
    return [found for key, entry in variables if (found := fault({key: entry}))] or [first]


def load_class(name: str, kind: Kind | None = None) -> Any:
    """Import and return the class of an algorithm.

    Raises
    ------
    AlgorithmError
        If there is no such algorithm or it cannot be imported; the text names the pip extra it needs.
    """
    algorithm = find(name, kind)
    return _load(algorithm.class_path, f"{algorithm.kind} {algorithm.name}", algorithm.extra)


def create(name: str, class_args: Mapping[str, Any] | None = None, kind: Kind | None = None) -> Any:
    """Validate the class arguments of a config and build the algorithm."""
    validate_class_args(name, class_args, kind)
    return load_class(name, kind)(**class_args_for_launch(name, class_args, kind))


def _table() -> dict[str, Algorithm]:
    """Return every algorithm by name. The one place that knows where algorithms come from."""
    builtins = {algorithm.name: algorithm for algorithm in BUILTINS}
    return {**builtins, **{name: found for name, found in _registered.read().items() if name not in builtins}}


def _validator(algorithm: Algorithm) -> ClassArgsValidator:
    if algorithm.validator_path is None:
        return ClassArgsValidator()
    validator: ClassArgsValidator = _load(algorithm.validator_path, f"the validator of {algorithm.name}", None)()
    return validator


def _load(path: str, what: str, extra: str | None) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        hint = f"; install what it needs with: pip install nni[{extra}]" if extra else ""
        raise AlgorithmError(f"cannot import {what} ({path}): {error}{hint}") from error
    except AttributeError:
        raise AlgorithmError(f"cannot import {what}: module {module_name} has no class {class_name}") from None


def _ignoring_case(name: str, table: Mapping[str, Any]) -> Any:
    return next((value for key, value in table.items() if key.lower() == str(name).lower()), None)


def _unknown(name: str, kind: Kind | None) -> str:
    available = f"available: {', '.join(names(kind))}"
    near = _nearest(name, names(kind))
    hint = f"did you mean {near}? " if near else ""
    return f"there is no {kind or 'algorithm'} named {name!r}; {hint}{available}"


def _nearest(name: str, known: Iterable[str]) -> str:
    lower = {key.lower(): key for key in known}
    return " or ".join(repr(lower[key]) for key in difflib.get_close_matches(str(name).lower(), lower, 2))


def _article(kind: Kind | None) -> str:
    return f"{'an' if kind in ('assessor', 'advisor') else 'a'} {kind}"
