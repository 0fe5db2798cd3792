"""Free-form values (search space, class arguments) as plain JSON values."""

from __future__ import annotations

import os
from typing import Any

from nni.config._errors import LARGEST_BITS, ConfigError, Fault, KeyPath, shown

_DEEPEST = 100


def plain(value: Any, path: KeyPath = ()) -> Any:
    """
    Return a copy made of dict, list, str, int, float, bool and None only.

    Python users write tuples, ranges, numpy numbers and paths; these have an obvious JSON form.

    Raises
    ------
    ConfigError
        With the key path of the first value that has none, and for a structure that contains itself.
    """
    if len(path) > _DEEPEST:
        raise ConfigError(Fault(path[:3], f"is nested deeper than {_DEEPEST} levels, or contains itself"))
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        raise ConfigError(Fault(path, "is too large a number"))
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if isinstance(value, dict):
        return {_key(key, path): plain(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(item, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy, without importing it
        return plain(value.tolist(), path)
    raise ConfigError(Fault(path, f"expected a value that JSON knows, got {shown(value)}"))


def _scalar(value: Any) -> Any:
    """Strip subclasses such as numpy.float64 and str enums."""
    kinds = (bool, int, float, str)
    kind = next((kind for kind in kinds if isinstance(value, kind)), None)
    return value if kind is None or type(value) in kinds else kind.__call__(value.value if _is_enum(value) else value)


def _is_enum(value: Any) -> bool:
    return hasattr(type(value), "__members__")


def _key(key: Any, path: KeyPath) -> str:
    if isinstance(key, str):
        return str(key)
    raise ConfigError(Fault(path, f"expected keys that are text, got the key {shown(key)} (put it in quotes)"))
