"""The base of all configuration classes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel, to_snake
from pydantic_core import InitErrorDetails

from nni.config._errors import ConfigError, Fault, nearest
from nni.config._fields import is_marked
from nni.config._json import plain
from nni.config._legacy import other_names
from nni.config._wording import faults_of, message_of, worded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

REDACTED = "******"
_CAMEL_WORD = re.compile(r"\b[a-z]+(?:[A-Z][a-z]*)+\b")
_SECRET_KEY = re.compile(r"passw|secret|token|credential|access_?key", re.IGNORECASE)


class ConfigModel(BaseModel):
    """
    A group of configuration keys.

    camelCase in files, snake_case in Python; files may use either (PLT-070). None means absent, everywhere (PLT-072).
    A fresh object may be incomplete and is filled by assignment; each assignment is validated, and a name that does
    not exist is an error with the nearest one that does.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", defer_build=True)

    _other_names: ClassVar[Mapping[str, str]] = {}
    """Further documented spellings in files, to field names."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(python_spelling(faults_of(error))) from None

    # Pydantic validates nested mappings without calling __init__ as long as it believes that this is its own.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # the mark pydantic itself sets

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Add to pydantic's checks: both spellings, null, unknown keys with suggestions, plain wording."""
        if not isinstance(data, dict):
            return handler(data)
        values, errors = _sort_keys(cls, data, from_python=info.context is None)
        try:
            model = handler(values)
        except ValidationError as error:
            errors += [_in_plain_words(cls, details) for details in error.errors(include_url=False)]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return model

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        cls = type(self)
        if name not in cls.model_fields:
            raise ConfigError(Fault((name,), f"unknown name, {nearest(name, cls.model_fields)}"))
        try:
            fresh = cls.model_validate({name: value})
        except ValidationError as error:
            raise ConfigError(python_spelling(faults_of(error))) from None
        super().__setattr__(name, getattr(fresh, name))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError as error:
                hint = nearest(name, type(self).model_fields)
                raise AttributeError(f"{type(self).__name__} has no {name!r}, {hint}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigModel) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # mutable, as Python does for every class with __eq__

    def _faults(self) -> Iterator[Fault]:
        """Yield what is wrong between the fields of this object; paths are relative to it."""
        yield from ()

    def _is_needed(self, name: str) -> bool:
        """Say whether a field that is marked as required is so in this object."""
        del name
        return True

    def _is_written(self, name: str) -> bool:
        """Say whether a field takes part in the written form."""
        return getattr(self, name) is not None

    def _written(self, *, redact: bool = False, path: tuple[str | int, ...] = ()) -> dict[str, Any]:
        """Return the JSON form: camelCase, absolute paths, nothing for what is absent."""
        result = {}
        for name, field in type(self).model_fields.items():
            if self._is_written(name):
                alias = field.alias or name
                hidden = redact and is_marked(field, "secret")
                result[alias] = REDACTED if hidden else _json(getattr(self, name), (*path, alias), redact=redact)
        return result


def structure_faults(model: ConfigModel) -> Iterator[Fault]:
    """Yield what is missing or contradictory in an object and the objects it holds."""
    for name, field in type(model).model_fields.items():
        alias, value = field.alias or name, getattr(model, name)
        if value is None and is_marked(field, "required") and model._is_needed(name):  # noqa: SLF001  # of the same family
            yield Fault((alias,), f"required, such as {field.examples[0]!r}" if field.examples else "required")
        yield from _nested_faults(value, alias)
    yield from model._faults()  # noqa: SLF001  # of the same family


def python_spelling(faults: list[Fault]) -> list[Fault]:
    """Return faults as they concern objects built in Python: names in snake_case."""
    return [
        Fault(
            tuple(to_snake(key) if isinstance(key, str) else key for key in fault.path),
            _CAMEL_WORD.sub(_python_name, fault.message),
            fault.place,
        )
        for fault in faults
    ]


def _python_name(match: re.Match[str]) -> str:
    known = {field.alias for cls in _subclasses(ConfigModel) for field in cls.model_fields.values()}
    return to_snake(match[0]) if match[0] in known else match[0]


def _subclasses(cls: type[ConfigModel]) -> Iterator[type[ConfigModel]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _nested_faults(value: Any, alias: str) -> Iterator[Fault]:
    items = [((alias, index), item) for index, item in enumerate(value)] if isinstance(value, list) else []
    models = [(path, item) for path, item in [((alias,), value), *items] if isinstance(item, ConfigModel)]
    for path, item in models:
        yield from (Fault((*path, *fault.path), fault.message) for fault in structure_faults(item))
    if not models:
        try:
            plain(value, (alias,))
        except ConfigError as error:
            yield from error.faults


@cache
def _field_names(cls: type[ConfigModel]) -> dict[str, str]:
    """Return field names by every accepted spelling."""
    by_alias = {field.alias or name: name for name, field in cls.model_fields.items()}
    return {**by_alias, **{name: name for name in cls.model_fields}, **cls._other_names}  # own family


def _sort_keys(
    cls: type[ConfigModel], data: dict[Any, Any], *, from_python: bool
) -> tuple[dict[str, Any], list[InitErrorDetails]]:
    """Return the known values that are present, and what is wrong with the other keys."""
    names = _field_names(cls)
    values: dict[str, Any] = {}
    errors: list[InitErrorDetails] = []
    for key, value in data.items():
        name = names.get(key) if isinstance(key, str) else None
        alias = cls.model_fields[name].alias if name else None
        if not alias:
            errors.append(
                _detail(_unknown_key(cls, key, from_python=from_python), key if isinstance(key, str) else str(key))
            )
        elif alias in values:
            errors.append(_detail(f"given twice, also as '{key}'", alias))
        elif value is not None:
            values[alias] = value
    return values, errors


def _unknown_key(cls: type[ConfigModel], key: Any, *, from_python: bool) -> str:
    if from_python:
        return f"unknown name, {nearest(str(key), cls.model_fields)}"
    valid = [field.alias or name for name, field in cls.model_fields.items()]
    renamed = next((name for name in other_names(str(key)) if name in valid), None)
    return f"unknown key, {f'did you mean {renamed!r}?' if renamed else nearest(str(key), valid)}"


def _in_plain_words(cls: type[ConfigModel], details: Any) -> InitErrorDetails:
    loc = details["loc"]
    is_secret = any(field.alias in loc[:1] and is_marked(field, "secret") for field in cls.model_fields.values())
    return InitErrorDetails(
        type=worded(message_of(details, secret=is_secret)), loc=loc, input=None if is_secret else details["input"]
    )


def _detail(message: str, *loc: str | int) -> InitErrorDetails:
    return InitErrorDetails(type=worded(message), loc=loc, input=None)


def _json(value: Any, path: tuple[str | int, ...], *, redact: bool) -> Any:
    if isinstance(value, ConfigModel):
        return value._written(redact=redact, path=path)  # noqa: SLF001  # of the same family
    if isinstance(value, list):
        return [_json(item, (*path, index), redact=redact) for index, item in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    return _without_secrets(plain(value, path)) if redact else plain(value, path)


def _without_secrets(value: Any) -> Any:
    """Hide what free-form sections (an OpenPAI job, class arguments) keep under names of secrets."""
    if isinstance(value, dict):
        return {
            key: REDACTED if _SECRET_KEY.search(key) and not isinstance(item, bool) else _without_secrets(item)
            for key, item in value.items()
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
