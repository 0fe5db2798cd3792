"""A Python function on its way into an experiment's directory, from which its workers load it."""

from __future__ import annotations

import functools
import inspect
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.config import FunctionCommand

__all__ = ["FunctionError", "files_of"]


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

    cloudpickle = _cloudpickle()
    about = {
        "name": str(command),
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "path": [str(Path(entry).absolute()) for entry in sys.path if isinstance(entry, str)],
        "source": _source(command.function),
        **_place(command.function),
    }
    pickled = _pickled(command.function, cloudpickle)
    return {f"function/{FUNCTION}": pickled, f"function/{ABOUT}": json.dumps(about, indent=2).encode()}


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415  (only for functions)
    except ImportError:
        raise FunctionError("functions as trials need cloudpickle: pip install cloudpickle") from None
    return cloudpickle


def _pickled(function: Callable[[Any], Any], cloudpickle: Any) -> bytes:
    try:
        pickled: bytes = cloudpickle.dumps(function)
    except Exception as error:  # whatever the user's objects raise
        culprit = _culprit(function, cloudpickle)
        raise FunctionError(
            f"the function cannot be sent to its workers: {culprit or 'something it uses'} cannot be copied into "
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
