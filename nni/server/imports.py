"""Checks results from elsewhere before the tuner sees any of them (HPO-410, 452)."""

from __future__ import annotations

import difflib
from typing import Any

from nni.search_space import SearchSpaceError, parse
from nni.server.refused import RefusedError

_EXTRA = {"TRIAL_BUDGET"}  # which samples of multi-fidelity algorithms may carry (HPO-356)


def checked_import(data: Any, search_space: Any, *, custom: bool = False) -> list[Any]:
    """Return the samples if every one is right; nothing is taken of an import with a fault.

    Parameters
    ----------
    data
        ``[{"parameter": {...}, "value": number or object}, ...]``.
    search_space
        Names are compared with it where it has the documented form; that of a custom algorithm is its own affair.
    custom
        The algorithm is the user's own, and what the items are is between the two (PLT-046).

    Raises
    ------
    RefusedError
        With the place of the first fault.
    """
    if not isinstance(data, list):
        raise RefusedError('imported data must be a list of {"parameter": {...}, "value": ...}')
    if custom:
        return data
    names = _names(search_space)
    for place, item in enumerate(data):
        _check(item, names, f"imported data, item {place}")
    return data


def _names(search_space: Any) -> set[str] | None:
    try:
        return set(parse(search_space)) or None  # NetworkMorphism has an empty one, and networks for parameters
    except SearchSpaceError:
        return None


def _check(item: Any, names: set[str] | None, where: str) -> None:
    if not isinstance(item, dict) or not {"parameter", "value"} <= item.keys():
        raise RefusedError(f"{where}: needs the keys 'parameter' and 'value'")
    if not isinstance(item["parameter"], dict):
        raise RefusedError(f"{where}: 'parameter' must be an object")
    if names is None:
        return
    given = item["parameter"].keys() - _EXTRA
    for name in sorted(given - names):
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(names))}"
        raise RefusedError(f"{where}: parameter {name!r} is not in the search space; {hint}")
    for name in sorted(names - given):
        raise RefusedError(f"{where}: parameter {name!r} of the search space is missing")
