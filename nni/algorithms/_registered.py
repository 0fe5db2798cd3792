"""Algorithms that users registered: one small file for each Python environment (HPO-394 … HPO-399).

The file lies in the environment itself, so that it goes with it and everybody who uses the environment sees the same
algorithms. Where the environment cannot be written to, it lies in the home of the user. Standard library only, but
for the lock that a change takes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nni.algorithms._builtins import Algorithm
from nni.common.errors import NniError

_FORMAT = 1


class RegisteredFileError(NniError):
    """The file of registered algorithms cannot be read."""


def files() -> tuple[Path, Path]:
    """Return the environment's file and the user's; where both name an algorithm, the user's counts."""
    key = hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    return Path(sys.prefix, "etc", "nni", "algorithms.json"), Path.home() / ".config" / "nni" / f"algorithms-{key}.json"


def read() -> dict[str, Algorithm]:
    """Return the registered algorithms by name.

    Raises
    ------
    RegisteredFileError
        A file is damaged.
    """
    return {name: _algorithm(name, entry) for file in files() for name, entry in _entries(file).items()}


def add(algorithm: Algorithm) -> Path:
    """Write an algorithm down, and return the file that took it."""
    environments, users = files()
    for file in (environments, users):
        try:
            with _changed(file) as entries:
                entries[algorithm.name] = {
                    "kind": algorithm.kind,
                    "class": algorithm.class_path,
                    "validator": algorithm.validator_path,
                }
        except PermissionError:
            if file is users:
                raise
        else:
            return file
    raise AssertionError


def remove(name: str) -> None:
    """Forget an algorithm, wherever it stands."""
    for file in files():
        if name in _entries(file):
            with _changed(file) as entries:
                entries.pop(name, None)


@contextlib.contextmanager
def _changed(file: Path) -> Iterator[dict[str, Any]]:
    """Give the entries of a file out to be changed; nobody else changes them meanwhile, and nobody reads half of it."""
    from filelock import FileLock  # noqa: PLC0415  (readers need none)

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(file.name + ".lock")):
        entries = _entries(file)
        yield entries
        new = file.with_name(file.name + ".new")
        new.write_text(json.dumps({"format": _FORMAT, "algorithms": entries}, indent=2) + "\n", encoding="utf-8")
        new.replace(file)


def _entries(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise RegisteredFileError(
            f"{file}: cannot be read ({error}); remove it and register your algorithms again"
        ) from error
    entries = content.get("algorithms") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(entries, dict) or not all(_is_entry(entry) for entry in entries.values()):
        raise RegisteredFileError(
            f"{file}: is no list of algorithms of this version; remove it and register your algorithms again"
        )
    return entries


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, Mapping) and {"kind", "class", "validator"} <= entry.keys()


def _algorithm(name: str, entry: Mapping[str, Any]) -> Algorithm:
    return Algorithm(name, entry["kind"], entry["class"], entry["validator"], source="User")
