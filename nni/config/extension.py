"""What sections of a configuration are made of, for those who write one of their own: fields and kinds of values."""

from __future__ import annotations

from nni.config._fields import (
    Count,
    Duration,
    GpuIndices,
    MemorySize,
    NonNegative,
    PathField,
    Port,
    Text,
    optional,
    required,
    secret,
)
from nni.config._model import ConfigModel

__all__ = [
    "ConfigModel",
    "Count",
    "Duration",
    "GpuIndices",
    "MemorySize",
    "NonNegative",
    "PathField",
    "Port",
    "Text",
    "optional",
    "required",
    "secret",
]
