"""Conditions that every configuration must satisfy: expressions, and functions of the user's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from nni.config._errors import Fault, shown
from nni.config._fields import PathField, Text, optional, required
from nni.config._function import FunctionCommand
from nni.config._model import ConfigModel
from nni.config._wording import worded

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class ConstraintFunctionConfig(ConfigModel):
    """
    A condition on configurations, as a function that takes one and returns whether it is allowed.

    Examples
    --------
    >>> ConstraintFunctionConfig(function="rules.fits").function
    'rules.fits'
    """

    function: Text | None = required(
        "Function with its module; it takes a configuration and returns True or False.", "rules.fits_in_memory"
    )
    code_directory: PathField | None = optional("Directory that holds the module; put on the import path.", ".")

    def _faults(self) -> Iterator[Fault]:
        if self.function and not _FUNCTION_NAME.fullmatch(self.function):
            given = shown(self.function)
            yield Fault(("function",), f"expected module.function, such as 'rules.fits_in_memory', got {given}")


def _constraint(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, (FunctionCommand, ConstraintFunctionConfig)) or (isinstance(value, str) and value):
        return value
    if isinstance(value, dict):
        return ConstraintFunctionConfig.model_validate(value, context=info.context)
    if callable(value):
        return FunctionCommand(value)
    raise worded(f"expected an expression, or a mapping with the key function, got {shown(value)}")


_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1, "description": "A Python expression over the names of variables."},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["function"],
            "properties": {
                "function": {"type": "string", "examples": ["rules.fits_in_memory"]},
                "codeDirectory": {"type": "string", "minLength": 1, "default": "."},
            },
        },
    ]
}

if TYPE_CHECKING:
    ConstraintField: TypeAlias = Any
else:
    ConstraintField = Annotated[Any, BeforeValidator(_constraint), WithJsonSchema(_SCHEMA)]
"""An expression, a function by name, or in Python any function."""
