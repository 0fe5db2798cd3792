"""Pydantic's findings in plain sentences: what was expected, and what was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from nni.config._errors import Fault, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WORDED = "nni"
"""Type of the errors whose message is final already."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_unicode": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "is_instance_of": "a mapping (key: value)",
}


def worded(message: str) -> PydanticCustomError:
    """Return an error for pydantic whose message stays as it is."""
    return PydanticCustomError(_WORDED, "{text}", {"text": message})


def faults_of(error: ValidationError) -> list[Fault]:
    """Return everything that pydantic found, in plain words."""
    return [Fault(tuple(details["loc"]), message_of(details)) for details in error.errors(include_url=False)]


def message_of(details: ErrorDetails, *, secret: bool = False) -> str:
    """Word one finding; the value given is left out for a secret."""
    context = details.get("ctx", {})
    if details["type"] == _WORDED:
        return str(context["text"])
    if details["type"] == "value_error":
        return str(context["error"])
    given = f"a value of type {type(details['input']).__name__}" if secret else shown(details["input"])
    return "".join(_sentence(details["type"], context, details["input"], given, details["msg"]))


def _sentence(kind: str, context: dict[str, Any], value: Any, given: str, otherwise: str) -> Iterator[str]:
    if kind == "literal_error":
        allowed = [part.strip("' ") for part in context["expected"].replace(" or ", ", ").split(",")]
        yield f"expected one of {', '.join(map(repr, allowed))}, got {given}"
        hint = nearest(str(value), allowed, fallback="")
        yield f", {hint}" if hint.startswith("did") else ""
    elif kind in {"greater_than_equal", "less_than_equal"}:
        yield f"expected {'at least' if 'ge' in context else 'at most'} {context.get('ge', context.get('le'))}"
        yield f", got {given}"
    elif kind in {"string_too_short", "too_short"}:
        yield f"expected {'text' if kind.startswith('string') else 'at least one item'}, got {given}"
    elif kind in _EXPECTED:
        yield f"expected {_EXPECTED[kind]}, got {given}"
        yield " (put it in quotes)" if kind == "string_type" and not isinstance(value, (dict, list)) else ""
    else:
        yield f"{otherwise[:1].lower()}{otherwise[1:]}, got {given}"
