"""Search spaces: parse, validate, count, sample and encode them.

Parsing, validation and counting import the standard library only. What draws numbers (:func:`sample`,
:func:`sample_many`, :class:`Encoder`) imports numpy when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nni.search_space._configuration import check_configuration, contains, flatten
from nni.search_space._constraint import Constraint
from nni.search_space._errors import SearchSpaceError
from nni.search_space._grid import configuration_index, nth_configuration
from nni.search_space._json_key import json_key
from nni.search_space._parameters import Choice, Custom, Normal, Parameter, RandInt, Uniform
from nni.search_space._parse import TYPES, parse
from nni.search_space._space import SearchSpace, space_size
from nni.search_space._support import require

if TYPE_CHECKING:
    from nni.search_space._encoder import Dimension, Encoder, Kind
    from nni.search_space._prior import from_unit, log_prior, to_unit
    from nni.search_space._sampling import sample, sample_many

_LAZY = {
    "Dimension": "_encoder",
    "Encoder": "_encoder",
    "Kind": "_encoder",
    "from_unit": "_prior",
    "log_prior": "_prior",
    "to_unit": "_prior",
    "sample": "_sampling",
    "sample_many": "_sampling",
}

__all__ = [
    "TYPES",
    "Choice",
    "Constraint",
    "Custom",
    "Dimension",
    "Encoder",
    "Kind",
    "Normal",
    "Parameter",
    "RandInt",
    "SearchSpace",
    "SearchSpaceError",
    "Uniform",
    "check_configuration",
    "configuration_index",
    "contains",
    "flatten",
    "from_unit",
    "json_key",
    "log_prior",
    "nth_configuration",
    "parse",
    "require",
    "sample",
    "sample_many",
    "space_size",
    "to_unit",
]


def __getattr__(name: str) -> Any:
    """Import what needs numpy when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
