"""From the ``Setup`` message to objects: finds, checks and constructs the configured algorithms."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nni.common.errors import NniError
from nni.runtime import FAILURES, AlgorithmError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Kind = Literal["tuner", "assessor", "advisor"]


class LoadError(NniError):
    """An algorithm that cannot be found, or is not what it is configured as."""


def load(kind: Kind, spec: dict[str, Any]) -> Any:
    """Construct an algorithm.

    Parameters
    ----------
    kind
        What it must be.
    spec
        ``name`` of a built-in or registered algorithm, or ``className`` (``module.Class``) with ``codeDirectory``;
        ``classArgs`` are the constructor's keyword arguments (HPO-120, HPO-180 … HPO-182).

    Raises
    ------
    NniError
        If it cannot be found, is of another kind, or its class arguments are refused.
    AlgorithmError
        If its module or its constructor fails.
    """
    if spec.get("name"):
        return _named(kind, spec)
    found = _import_class(kind, spec)
    _check_kind(kind, found)
    return _construct(found, spec.get("classArgs") or {}, spec.get("classArgs") or {})


def _named(kind: Kind, spec: dict[str, Any]) -> Any:
    from nni.algorithms import registry  # noqa: PLC0415 - an experiment with classes of its own needs none of it

    given = spec.get("classArgs") or {}
    _add_to_path(spec)
    registry.validate_class_args(spec["name"], given, kind)
    found = registry.load_class(spec["name"], kind)
    _check_kind(kind, found)
    return _construct(found, registry.class_args_for_launch(spec["name"], given, kind), given)


def _import_class(kind: Kind, spec: dict[str, Any]) -> type:
    path = str(spec.get("className") or "")
    module_name, _, class_name = path.rpartition(".")
    if not module_name or not class_name:
        raise LoadError(f"{kind}.className: expected 'module.Class', got {path!r}")
    _add_to_path(spec, f"{kind}.codeDirectory")
    module = _import_module(f"{kind}.className", module_name, spec.get("codeDirectory"))
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        defined = [name for name, value in vars(module).items() if isinstance(value, type)]
        hint = _nearest(class_name, defined)
        raise LoadError(
            f"{kind}.className: module {module_name!r} ({module.__file__}) has no class {class_name!r}{hint}"
        )
    return found


def function_at(where: str, spec: dict[str, Any]) -> Callable[..., Any]:
    """Return a function of the user's: ``function`` (``module.function``), with ``codeDirectory``.

    Raises
    ------
    LoadError
        It cannot be found.
    AlgorithmError
        Its module fails.
    """
    module_name, _, name = str(spec["function"]).rpartition(".")
    _add_to_path(spec, f"{where.rpartition('.')[0]}.codeDirectory")
    module = _import_module(where, module_name, spec.get("codeDirectory"))
    found: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(found):
        defined = [key for key, value in vars(module).items() if callable(value) and not key.startswith("__")]
        hint = _nearest(name, defined)
        raise LoadError(f"{where}: module {module_name!r} ({module.__file__}) has no function {name!r}{hint}")
    return found


def _add_to_path(spec: dict[str, Any], key: str = "codeDirectory") -> None:
    directory = spec.get("codeDirectory")
    if directory is None:
        return
    if not Path(directory).is_dir():
        raise LoadError(f"{key}: {directory!r} is no directory")
    if str(directory) not in sys.path:  # first, as Python itself does with the directory of a script
        sys.path.insert(0, str(directory))


def _import_module(where: str, name: str, directory: str | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # something that the module needs
            raise AlgorithmError(f"{where}: importing {name!r} failed: {error}") from error
        raise LoadError(f"{where}: {_not_found(name, directory)}") from error
    except FAILURES as error:
        raise AlgorithmError(f"{where}: importing {name!r} failed: {one_line(error)}") from error


def _not_found(name: str, directory: str | None) -> str:
    if directory is None:
        return f"there is no module {name!r}; is codeDirectory missing?"
    modules = [path.stem for path in Path(directory).glob("*.py")]
    return f"there is no module {name!r} in codeDirectory {directory!r}{_nearest(name, modules)}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(sorted(known)[:10])}" if known else ""


def _check_kind(kind: Kind, found: type) -> None:
    from nni.assessor import Assessor  # noqa: PLC0415 - all are loaded by now, except by a wrong class
    from nni.runtime import MsgDispatcherBase  # noqa: PLC0415
    from nni.tuner import Tuner  # noqa: PLC0415

    bases: dict[Kind, type] = {"tuner": Tuner, "assessor": Assessor, "advisor": MsgDispatcherBase}
    if issubclass(found, bases[kind]):
        return
    name = f"{found.__module__}.{found.__qualname__}"
    other = next((other for other, base in bases.items() if issubclass(found, base)), None)
    if other:
        raise LoadError(f"{kind}.className: {name} is not {_a(kind)} but {_a(other)}; configure it as '{other}'")
    base = bases[kind]
    raise LoadError(f"{kind}.className: {name} must inherit from {base.__module__}.{base.__name__}")


def _a(kind: Kind) -> str:
    return f"a {kind}" if kind == "tuner" else f"an {kind}"


def _construct(found: type, arguments: dict[str, Any], given: dict[str, Any]) -> Any:
    try:
        return found(**arguments)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # raised inside the constructor
            raise AlgorithmError(f"{found.__name__}.__init__ failed: {one_line(error)}") from error
        raise AlgorithmError(_wrong_arguments(found, arguments, given) or one_line(error)) from error
    except FAILURES as error:
        raise AlgorithmError(f"{found.__name__}.__init__ failed: {one_line(error)}") from error


def _wrong_arguments(found: type, arguments: dict[str, Any], given: dict[str, Any]) -> str | None:
    """Say which constructor arguments are missing or unknown (HPO-442)."""
    import inspect  # noqa: PLC0415 - only for the message

    parameters = inspect.signature(found).parameters
    named = {name for name, one in parameters.items() if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}}
    missing = [name for name in named if parameters[name].default is inspect.Parameter.empty and name not in arguments]
    unknown = [name for name in arguments if name not in named]
    listed = f"classArgs given: {', '.join(given) or 'none'}"
    if missing:
        return f"{found.__name__}.__init__() missing required {_listed(sorted(missing))} ({listed})"
    if unknown:
        hint = _nearest(unknown[0], sorted(named))
        return f"{found.__name__}.__init__() got unexpected {_listed(unknown)}{hint} ({listed})"
    return None


def _listed(names: list[str]) -> str:
    return f"argument{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
