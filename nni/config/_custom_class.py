"""Finding the class of a custom algorithm without running any of its code."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nni.config._errors import Fault, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nni.config._algorithm import _AlgorithmConfig


def custom_class_faults(algorithm: _AlgorithmConfig) -> Iterator[Fault]:
    """Yield why the class of an algorithm given by `class_name` would not be found (paths relative to it)."""
    module, _, name = str(algorithm.class_name).rpartition(".")
    directory = algorithm.code_directory
    if directory is None:
        if not is_installed(module):
            hint = f"codeDirectory says in which directory {module.partition('.')[0]}.py lies"
            yield Fault(("className",), f"no module {module!r} is installed; {hint}")
        return
    if not directory.is_dir():
        yield Fault(("codeDirectory",), f"no such directory: '{directory}'")
        return
    file = module_file(directory, module)
    if file is not None:
        yield from _class_faults(file, name)
    elif not is_installed(module):
        wanted = f"{module.replace('.', '/')}.py"
        near = nearest(wanted, [found.name for found in directory.glob("*.py")], fallback="it has")
        yield Fault(("className",), f"no {wanted} in '{directory}', {near}")


def function_faults(path: str, directory: Path | None) -> Iterator[Fault]:
    """Yield why a function given as ``module.function`` would not be found (paths relative to its mapping)."""
    if directory is not None and not directory.is_dir():
        yield Fault(("codeDirectory",), f"no such directory: '{directory}'")
        return
    module, _, name = path.rpartition(".")
    file = None if directory is None else module_file(directory, module)
    if file is None:
        if not is_installed(module):
            wanted = f"{module.replace('.', '/')}.py"
            near = nearest(wanted, [found.name for found in (directory or Path()).glob("*.py")], fallback="it has")
            yield Fault(("function",), f"no {wanted} in '{directory}', {near}")
        return
    yield from _name_faults("function", file, name, ast.FunctionDef, "function")


def module_file(directory: Path, module: str) -> Path | None:
    """Return the source file of a module in a directory that is on the import path."""
    base = directory.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def is_installed(module: str) -> bool:
    """Say whether the top-level package of a module can be imported; nothing is imported."""
    top = module.partition(".")[0]
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _class_faults(file: Path, name: str) -> Iterator[Fault]:
    return _name_faults("className", file, name, ast.ClassDef, "class")


def _name_faults(
    key: str, file: Path, name: str, kind: type[ast.ClassDef | ast.FunctionDef], noun: str
) -> Iterator[Fault]:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        yield Fault((key,), f"{file}:{error.lineno}: {error.msg}")
        return
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        yield Fault((key,), f"{file}: {error}")
        return
    names = _names_bound(tree)
    if "*" not in names and name not in names:
        there = [node.name for node in ast.walk(tree) if isinstance(node, kind)]
        yield Fault((key,), f"{file} has no {noun} {name!r}, {nearest(name, there, fallback='it has')}")


def _names_bound(tree: ast.Module) -> set[str]:
    """Return every name that a module may bind, in whatever branch; ``*`` for a star import."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    # A module-level __getattr__ may provide anything (PEP 562).
    return names | {"*"} if "__getattr__" in names else names
