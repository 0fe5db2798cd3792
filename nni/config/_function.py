"""A Python function where a trial command is expected: how it is named in files, and how it is told from a command."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import ValidatorFunctionWrapHandler, WrapValidator

from nni.config._fields import Text

if TYPE_CHECKING:
    from typing_extensions import Self

_NAMED = re.compile(r"<function .+>")


class FunctionCommand(str):
    """What stands for a function where people look; the function itself is in `function`."""

    __slots__ = ("function",)

    function: Callable[[Any], Any]

    def __new__(cls, function: Callable[[Any], Any]) -> Self:
        """Name a function."""
        command = super().__new__(cls, describe(function))
        command.function = function
        return command


def describe(function: Callable[[Any], Any]) -> str:
    """Return ``<function name (file:line)>``, as far as it is known."""
    inner = innermost(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    name = name.rpartition("<locals>.")[2].strip("<>")
    place = source_of(inner)
    return f"<function {name} ({place})>" if place else f"<function {name}>"


def innermost(function: Any) -> Any:
    """Return what a partial, a wrapped function or a callable object comes down to."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = inspect.getattr_static(type(function), "__call__", function)
    return function


def source_of(function: Any) -> str:
    """Return ``file:line`` of a Python function; empty for one that is not written in a file."""
    code = getattr(function, "__code__", None)
    if code is None or not Path(code.co_filename).exists():
        return ""
    return f"{Path(code.co_filename).absolute()}:{code.co_firstlineno}"


def call_problem(function: Callable[..., Any]) -> str | None:
    """Return why a function cannot be called with a configuration alone; None if it can, or does not tell."""
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return "an async function or a generator returns no answer"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C
        return None
    try:
        signature.bind({})
    except TypeError as error:
        return f"it is called with the configuration alone: {error} (it takes {signature})"
    return None


def is_function(command: str) -> bool:
    """Tell whether a trial command of a configuration stands for a function."""
    return bool(_NAMED.fullmatch(command))


def _trial_command(value: Any, as_text: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, FunctionCommand):
        return value
    return FunctionCommand(value) if callable(value) else as_text(value)


if TYPE_CHECKING:
    TrialCommand: TypeAlias = Any
else:
    TrialCommand = Annotated[Text, WrapValidator(_trial_command)]
"""A shell command; in Python also a function, which takes a configuration and returns a result."""
