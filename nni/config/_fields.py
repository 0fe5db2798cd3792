"""The kinds of values that occur in configurations, each with its rule, its wording and its JSON Schema."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from nni.common import durations, paths
from nni.config._errors import shown
from nni.config._wording import worded

_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]*)?)(tb|gb|mb|kb)", re.IGNORECASE)
UNLIMITED = "unlimited"
_SMALLEST_LOG = 1 / 16  # megabytes; what is dropped of a log are whole blocks of the file system
_MEGABYTES = {"tb": 1024.0 * 1024, "gb": 1024.0, "mb": 1.0, "kb": 1 / 1024}


def optional(description: str, default: Any = None, **schema: Any) -> Any:
    """Declare a field that may be absent; the default goes through the same checks as a given value."""
    return Field(default=default, description=description, validate_default=default is not None, **schema)


def required(description: str, example: Any, **schema: Any) -> Any:
    """
    Declare a field that a complete configuration must have.

    The model itself starts with None, so that a fresh object can be filled step by step (PLT-098); what is still
    missing is told by `structure_faults`.
    """
    return Field(default=None, description=description, examples=[example], **_extra(schema, required=True))


def secret(description: str, *, is_required: bool = False) -> Any:
    """Declare a field that is never shown: not in logs, REST answers, errors or `repr`."""
    return Field(default=None, description=description, repr=False, **_extra({}, required=is_required, secret=True))


def _extra(schema: dict[str, Any], **marks: bool) -> dict[str, Any]:
    return {**schema, "json_schema_extra": {f"x-{name}": True for name, wanted in marks.items() if wanted}}


def is_marked(field: Any, mark: str) -> bool:
    """Say whether a pydantic field was declared `required` or `secret`."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(f"x-{mark}"))


def _whole(value: Any) -> Any:
    # bool is an int for Python, but `trialConcurrency: true` is a mistake.
    if isinstance(value, bool):
        raise worded(f"expected a whole number, got {shown(value)}")
    return value


def _path(value: Any, info: ValidationInfo) -> Path:
    if not isinstance(value, (str, os.PathLike)) or isinstance(os.fspath(value), bytes):
        raise worded(f"expected a path, got {shown(value)}")
    return paths.absolute(value, (info.context or {}).get("directory"))


def _duration(value: Any) -> str:
    if durations.parse_duration(value) == 0:
        raise ValueError(f"expected more than zero, such as '10m', got {shown(value)}")
    return str(value)


def _memory(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"{value}mb"  # kubeflow and frameworkcontroller examples give megabytes as a number (PLT-353)
    memory_megabytes(value)
    return str(value)


def memory_megabytes(value: object) -> float:
    """
    Return the megabytes (1024 kilobytes) of a memory size such as ``8GB`` or ``512mb`` (PLT-073).

    Raises
    ------
    ValueError
        If it is not a number directly followed by tb, gb, mb or kb in any case, or is zero.
    """
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    megabytes = float(match[1]) * _MEGABYTES[match[2].lower()] if match else 0.0
    if not 0 < megabytes < float("inf"):
        raise ValueError(f"expected a number directly followed by tb, gb, mb or kb, such as '8gb', got {shown(value)}")
    return megabytes


def _log_limit(value: Any) -> str:
    if value == UNLIMITED:
        return UNLIMITED
    expected = "expected a size such as '100mb', of 64kb or more, or 'unlimited'"
    try:
        is_enough = memory_megabytes(value) >= _SMALLEST_LOG
    except ValueError:
        is_enough = False
    if not is_enough:
        raise ValueError(f"{expected}, got {shown(value)}")
    return str(value)


def _gpu_indices(value: Any) -> list[int]:
    """Read the three documented forms: ``[0, 1]``, ``"0,1"`` and ``0`` (PLT-074)."""
    items = value.split(",") if isinstance(value, str) and value.strip() else value
    if isinstance(items, str):
        items = []  # "" is what CUDA_VISIBLE_DEVICES has for "none"
    elif not isinstance(items, (list, tuple)):
        items = [items]
    indices = [_gpu_index(item, value) for item in items]
    if len(set(indices)) != len(indices):
        raise ValueError(f"names a GPU twice: {shown(','.join(map(str, indices)))}")
    return indices


def _gpu_index(item: Any, whole: Any) -> int:
    digits = str(item).strip() if isinstance(item, (int, str)) and not isinstance(item, bool) else ""
    if not re.fullmatch("[0-9]{1,6}", digits):
        given = item if isinstance(whole, (list, tuple)) else whole
        raise ValueError(f"expected GPU numbers such as [0, 1], '0,1' or 0, got {shown(given)}")
    return int(digits)


def _word(value: Any) -> Any:
    if not isinstance(value, str):
        raise worded(f"expected text, got {shown(value)}")
    return value


def _text_or_whole(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""

Word = BeforeValidator(_word)
"""Mark of a text out of a vocabulary (Literal)."""

TextOrWhole = Annotated[Text, BeforeValidator(_text_or_whole)]
"""A text, where the documentation's own examples write a number (PLT-352)."""

Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
NonNegative = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_whole)]

PathField = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
"""A path on this machine; absolute in the model, whatever was written."""

Duration = Annotated[
    str,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)[smhd]$", "examples": ["10m", "0.5h"]}),
]

MemorySize = Annotated[
    str,
    BeforeValidator(_memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]*)?([tT]|[gG]|[mM]|[kK])[bB]$", "examples": ["8gb"]},
                {"type": "integer", "minimum": 1, "description": "Megabytes."},
            ]
        }
    ),
]

LogLimit = Annotated[
    str,
    BeforeValidator(_log_limit),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]*)?([tT]|[gG]|[mM]|[kK])[bB]|unlimited)$"}),
]
"""The size of a log file, or ``unlimited``."""

GpuIndices = Annotated[
    list[int],
    BeforeValidator(_gpu_indices),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "uniqueItems": True},
                {"type": "string", "pattern": r"^(\s*[0-9]+\s*(,\s*[0-9]+\s*)*)?$", "examples": ["0,1"]},
                {"type": "integer", "minimum": 0},
            ]
        }
    ),
]
"""GPU numbers; a list in the model, whichever of the three documented forms was written."""

Json = Annotated[Any, WithJsonSchema({})]
"""Any JSON value; checked by `nni.config._json`."""
