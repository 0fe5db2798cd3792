"""Equality of JSON values: what makes two configurations the same one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any


def json_key(value: Any) -> Hashable:
    """Return a hashable key, equal for values that are equal as JSON.

    Unlike Python's ``==``, ``true`` is not ``1``, and NaN equals NaN; as in JSON, ``1`` and ``1.0`` are the same
    number and the order of an object's keys does not matter.

    Examples
    --------
    >>> json_key({"a": 1, "b": [2]}) == json_key({"b": [2.0], "a": 1})
    True
    >>> json_key(True) == json_key(1)
    False
    """
    if isinstance(value, Mapping):
        return ("object", frozenset((key, json_key(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return ("array", tuple(json_key(item) for item in value))
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124  (NaN is the one value that differs from itself)
        return ("number", "NaN")
    if value is None or isinstance(value, (str, int, float)):
        return value
    return ("repr", repr(value))  # not JSON: a Python search space with objects as options
