"""Registering an algorithm of the user's: what its meta file must say, and that it can be used (HPO-393, HPO-402)."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.algorithms import _registered, registry
from nni.algorithms._builtins import BUILTINS, Algorithm, Kind
from nni.algorithms._class_args import ClassArgsValidator
from nni.algorithms.registry import AlgorithmError

__all__ = ["register", "unregister"]

_KINDS: tuple[Kind, ...] = ("tuner", "assessor", "advisor")
_REQUIRED = ("algoType", "builtinName", "className")
_KEYS = (*_REQUIRED, "classArgsValidator")


def register(meta: Any) -> tuple[Algorithm, Path]:
    """Register an algorithm under a name that configs can use from now on, in this Python environment.

    Parameters
    ----------
    meta
        What the meta file holds: ``algoType`` (``tuner``, ``assessor`` or ``advisor``), ``builtinName``, ``className``
        (``module.Class``) and, where there is one, ``classArgsValidator`` (HPO-393, HPO-401).

    Returns
    -------
    tuple
        The algorithm, and the file in which it is written down.

    Raises
    ------
    AlgorithmError
        If a key is missing, unknown or wrong, the name is taken, or a class cannot be imported or is no such algorithm.
        Then nothing has changed.
    """
    algorithm = _read(meta)
    _check_name(algorithm.name)
    _check_class(algorithm)
    if algorithm.validator_path is not None:
        _check_validator(algorithm.validator_path)
    return algorithm, _registered.add(algorithm)


def unregister(name: str) -> Algorithm:
    """Forget a registered algorithm, and return it.

    Raises
    ------
    AlgorithmError
        If it is one of NNI's own, or there is none of that name.
    """
    algorithm = registry.find(name)
    if algorithm.source == "nni":
        raise AlgorithmError(f"{algorithm.name} is one of NNI's own algorithms and cannot be unregistered")
    _registered.remove(algorithm.name)
    return algorithm


def _read(meta: Any) -> Algorithm:
    if not isinstance(meta, Mapping):
        raise AlgorithmError(f"expected the keys {', '.join(_KEYS)}, got {meta!r:.60}")
    for key in meta:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise AlgorithmError(f"{key}: unknown key; {hint}")
    missing = [key for key in _REQUIRED if not meta.get(key)]
    if missing:
        raise AlgorithmError(f"{missing[0]}: this key must be given")
    for key in _KEYS:
        if meta.get(key) is not None and not isinstance(meta[key], str):
            raise AlgorithmError(f"{key}: expected a text, got {meta[key]!r}")
    if meta["algoType"] not in _KINDS:
        raise AlgorithmError(f"algoType: expected {', '.join(_KINDS[:-1])} or {_KINDS[-1]}, got {meta['algoType']!r}")
    return Algorithm(
        meta["builtinName"], meta["algoType"], meta["className"], meta.get("classArgsValidator"), source="User"
    )


def _check_name(name: str) -> None:
    taken = {algorithm.name.lower() for algorithm in BUILTINS}
    if name.lower() in taken:
        raise AlgorithmError(f"builtinName: {name!r} is the name of one of NNI's own algorithms; choose another one")
    same = next((known for known in _registered.read() if known.lower() == name.lower()), None)
    if same is not None:
        raise AlgorithmError(
            f"builtinName: {same!r} is registered already; to register another: nnictl algo unregister {same}"
        )


def _check_class(algorithm: Algorithm) -> None:
    found = _import("className", algorithm.class_path)
    bases = {kind: _base(kind) for kind in _KINDS}
    if isinstance(found, type) and issubclass(found, bases[algorithm.kind]):
        return
    other = next((kind for kind in _KINDS if isinstance(found, type) and issubclass(found, bases[kind])), None)
    base = bases[algorithm.kind]
    problem = (
        f"is no {algorithm.kind} but of the type {other}; write algoType: {other}"
        if other
        else f"must inherit from {base.__module__}.{base.__name__}"
    )
    raise AlgorithmError(f"className: {algorithm.class_path} {problem}")


def _base(kind: Kind) -> type:
    from nni.assessor import Assessor  # noqa: PLC0415  (only at registration)
    from nni.runtime.msg_dispatcher_base import MsgDispatcherBase  # noqa: PLC0415
    from nni.tuner import Tuner  # noqa: PLC0415

    return {"tuner": Tuner, "assessor": Assessor, "advisor": MsgDispatcherBase}[kind]


def _check_validator(path: str) -> None:
    found = _import("classArgsValidator", path)
    if not (isinstance(found, type) and issubclass(found, ClassArgsValidator)):
        raise AlgorithmError(f"classArgsValidator: {path} must inherit from nni.ClassArgsValidator")


def _import(key: str, path: str) -> Any:
    module_name, _, class_name = path.rpartition(".")
    if not module_name or not class_name:
        raise AlgorithmError(f"{key}: expected module.Class, got {path!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        advice = "install the package first (pip install .)" if module_name.startswith(f"{error.name}") else ""
        raise AlgorithmError(f"{key}: {error}{'; ' + advice if advice else ''}") from error
    except Exception as error:
        raise AlgorithmError(f"{key}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, class_name):
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        near = difflib.get_close_matches(class_name, classes, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AlgorithmError(f"{key}: module {module_name} has no class {class_name}{hint}")
    return getattr(module, class_name)
