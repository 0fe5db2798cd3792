"""A configuration file of NNI 1.x as a file in the current schema."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.common import paths
from nni.config._errors import ConfigError, Fault, key_path_text
from nni.config._load import load, yaml_writer

if TYPE_CHECKING:
    from nni.config._legacy_convert import Conversion


def current_yaml(path: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None) -> str:
    """
    Return the text of a file in the current schema that means the same as a file in the schema of NNI 1.x.

    Parameters
    ----------
    path
        The old file.
    directory
        Where the new file will lie. Default: beside the old one, so that relative paths can stay as they are.

    Raises
    ------
    ConfigError
        With everything that is wrong in the old file, or if it is in the current schema already.
    """
    config = load(path)
    origin = config._origin  # noqa: SLF001  # of the same package
    if origin is None:
        raise ConfigError(Fault((), "is in the current schema already", os.fspath(path)))
    here = paths.absolute(path).parent
    data: Any = origin.data
    if directory is not None and paths.absolute(directory).resolve() != here.resolve():
        data = _with_absolute_paths(data, config.canonical(), here)
    stream = io.StringIO()
    yaml_writer().dump(data, stream)
    return "".join(f"# {line}".rstrip() + "\n" for line in _header(Path(path), origin)) + "\n" + stream.getvalue()


def _header(path: Path, origin: Conversion) -> list[str]:
    """Say where the file comes from, and what is not in it."""
    lines = [f"Converted from {' '.join(path.name.split())}, which is in the schema of NNI 1.x."]
    notes = [*origin.warnings, *origin.dropped]
    if notes:
        lines += ["", "Not taken over, or assumed:"]
        lines += [f"  {key_path_text(note.path)}: {note.message}" for note in notes]
    return lines


def _with_absolute_paths(data: Any, canonical: Any, directory: Path) -> Any:
    """Return a copy in which each text that the complete configuration has made an absolute path is one."""
    if isinstance(data, dict):
        return {key: _with_absolute_paths(value, canonical.get(key), directory) for key, value in data.items()}
    if isinstance(data, list) and isinstance(canonical, list) and len(data) == len(canonical):
        pairs = zip(data, canonical, strict=True)
        return [_with_absolute_paths(value, complete, directory) for value, complete in pairs]
    is_path = isinstance(data, str) and data != canonical and str(canonical) == _absolute(data, directory)
    return canonical if is_path else data


def _absolute(text: str, directory: Path) -> str | None:
    try:
        return str(paths.absolute(text, directory))
    except ValueError:
        return None
