"""A Python function on its way into an experiment's directory, from which its workers load it."""

from __future__ import annotations

import functools
import inspect
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.config import FunctionCommand

__all__ = ["FunctionError", "constraint_files", "files_of"]


class FunctionError(NniError):
    """The function cannot be run in another process."""


def files_of(command: FunctionCommand) -> dict[str, bytes]:
    """Return what an experiment's directory needs to hold for a function: paths in it, and contents.

    Raises
    ------
    FunctionError
        The function, or something that it uses, cannot be sent to another process; the text names it.
    """
    from nni.trial.function_files import ABOUT, FUNCTION  # noqa: PLC0415  (needs a system with fcntl)

    about = {
        "name": str(command),
        **_here(),
        "source": _source(command.function),
        **_place(command.function),
    }
    pickled = _pickled(command.function, "the function cannot be sent to its workers")
    return {f"function/{FUNCTION}": pickled, f"function/{ABOUT}": json.dumps(about, indent=2).encode()}


def constraint_files(constraints: Sequence[Any]) -> dict[str, bytes]:
    """Return what an experiment's directory needs to hold for those constraints that are functions.

    Raises
    ------
    FunctionError
        As for :func:`files_of`.
    """
    from nni.trial.function_files import ABOUT, constraint_file  # noqa: PLC0415  (as above)

    functions = [(index, each) for index, each in enumerate(constraints) if isinstance(each, FunctionCommand)]
    files = {
        constraint_file(index): _pickled(each.function, f"constraints[{index}] cannot be sent to the tuner's process")
        for index, each in functions
    }
    return {**files, constraint_file(ABOUT): json.dumps(_here(), indent=2).encode()} if files else {}


def _here() -> dict[str, Any]:
    """Return what another process needs to know about this one, to import what a function does."""
    return {
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "path": [str(Path(entry).absolute()) for entry in sys.path if isinstance(entry, str)],
    }


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415  (only for functions)
    except ImportError:
        raise FunctionError("functions as trials or constraints need cloudpickle: pip install cloudpickle") from None
    return cloudpickle


def _pickled(function: Callable[[Any], Any], refusal: str) -> bytes:
    cloudpickle = _cloudpickle()
    try:
        pickled: bytes = cloudpickle.dumps(function)
    except Exception as error:  # whatever the user's objects raise
        culprit = _culprit(function, cloudpickle)
        raise FunctionError(
            f"{refusal}: {culprit or 'something it uses'} cannot be copied into "
            f"another process ({type(error).__name__}: {_first_line(error)}); create it inside of the function"
        ) from error
    return pickled


def _culprit(function: Callable[[Any], Any], cloudpickle: Any) -> str:
    """Return the name of the first variable that keeps a function from being pickled."""
    try:
        used = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return ""
    for kind, names in (("the variable", used.nonlocals), ("the global variable", used.globals)):
        for name, value in names.items():
            try:
                cloudpickle.dumps(value)
            except Exception:  # noqa: BLE001  (as above)
                return f"{kind} {name!r}"
    return ""


def _source(function: Callable[[Any], Any]) -> str:
    """Return the text of a function, for people who look what was run."""
    while isinstance(function, functools.partial):
        function = function.func
    shown = inspect.unwrap(function) if inspect.isroutine(function) else type(function)
    try:
        return inspect.getsource(shown)
    except (OSError, TypeError):
        return ""


def _place(function: Callable[[Any], Any]) -> dict[str, Any]:
    """Return where the source is, for tracebacks of what a notebook defines: its files exist nowhere else."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return {} if code is None else {"file": code.co_filename, "line": code.co_firstlineno}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
