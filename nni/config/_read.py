"""Reading a configuration from nested mappings, with all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from nni.config._errors import Fault, KeyPath, PathKey
from nni.config._legacy import is_legacy, mixture
from nni.config._model import ConfigModel, structure_faults
from nni.config._wording import faults_of

if TYPE_CHECKING:
    import os

_NO_KEY = object()
Model = TypeVar("Model", bound=ConfigModel)

_ATTEMPTS = 10
"""Removing a value may uncover another fault beneath it; more layers than this are not looked through."""


def read(cls: type[Model], data: Any, directory: str | os.PathLike[str] | None = None) -> tuple[Model, list[Fault]]:
    """
    Return a model and everything that is wrong in the data.

    With faults, the model holds the data without the values that are at fault, so that the rest can be checked too.
    """
    if not isinstance(data, dict):
        return cls(), [Fault((), "expected a mapping of keys and values, such as 'trialConcurrency: 2'")]
    if mixed := mixture(data):
        return cls(), [mixed]
    if is_legacy(data):
        from nni.config._legacy_convert import read_legacy  # noqa: PLC0415  # only for old files

        return read_legacy(cls, data, directory)
    return read_model(cls, data, directory)


def read_model(
    cls: type[Model], data: dict[Any, Any], directory: str | os.PathLike[str] | None = None
) -> tuple[Model, list[Fault]]:
    """Do the same as `read` for data that is known to be in the schema of the model."""
    model, faults = _read_what_is_right(cls, data, directory)
    return model, [*faults, *(fault for fault in structure_faults(model) if not follows(fault, faults))]


def _read_what_is_right(cls: type[Model], data: dict[Any, Any], directory: Any) -> tuple[Model, list[Fault]]:
    faults: list[Fault] = []
    removed: set[KeyPath] = set()
    for _ in range(_ATTEMPTS):
        try:
            return cls.model_validate(data, context={"directory": directory}), faults
        except ValidationError as error:
            found = faults_of(error)
            faults += [fault for fault in found if not follows(fault, faults)]
            for path in dict.fromkeys(fault.path for fault in found):
                while path and path in removed:
                    path = path[:-1]  # noqa: PLW2901  # what is missing cannot be removed, so what it is missing in has to go
                data = _without(data, path)
                removed.add(path)
    return cls(), faults


def _without(data: Any, path: KeyPath) -> Any:
    """Return a copy without the value at a path; an item of a list becomes an empty mapping, so that indices stay."""
    if not path:
        return {}
    if isinstance(data, list) and isinstance(path[0], int):
        replaced = _without(data[path[0]], path[1:]) if path[1:] else {}
        return [*data[: path[0]], replaced, *data[path[0] + 1 :]]
    key = find_key(data, path[0]) if isinstance(data, dict) else _NO_KEY
    if key is _NO_KEY:
        return None
    if path[1:]:
        return {**data, key: _without(data[key], path[1:])}
    return {name: value for name, value in data.items() if name != key}


def find_key(keys: Any, wanted: PathKey) -> Any:
    """Return the key of a mapping that a path means (camelCase, snake_case, or not text at all), or `_NO_KEY`."""
    if wanted in keys:
        return wanted
    other = to_snake(str(wanted))
    return other if other in keys else next((key for key in keys if str(key) == str(wanted)), _NO_KEY)


def follows(fault: Fault, causes: list[Fault]) -> bool:
    """Say whether a fault is only there because something at the same place was wrong already."""
    return any(
        fault.path[: len(cause.path)] == cause.path
        or (fault.path and cause.path[: len(fault.path)] == fault.path)
        or (cause.path[:-1] == fault.path[:-1] and cause.message.endswith(f"did you mean '{fault.path[-1]}'?"))
        for cause in causes
        if cause.path
    )
