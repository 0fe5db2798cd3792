"""Configuration files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.common import paths
from nni.config._errors import ConfigError, Fault
from nni.config._experiment import ExperimentConfig
from nni.config._read import find_key, follows, read

if TYPE_CHECKING:
    from ruamel.yaml import YAML

    from nni.config._errors import KeyPath
    from nni.config._yaml import Document


def load(path: str | os.PathLike[str]) -> ExperimentConfig:
    """
    Read an experiment configuration from a YAML file.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to its directory (PLT-071).

    Raises
    ------
    ConfigError
        With everything that is wrong in it, one line each with file, line and key path, and if there is anything,
        with what is wrong around it too. For a file without faults call `validate` before a start: this looks at
        files, algorithms and search space.
    """
    file = _existing(path)
    document = read_document(file, as_named=Path(path))
    config, faults = _read_as_written(document, file.parent)
    if faults:
        faults += _around(config, faults)
        faults.sort(key=lambda fault: document.line(fault.path))
        raise ConfigError(fault.at(document.place(fault.path)) for fault in faults)
    config._place = document.place  # noqa: SLF001  # of the same package
    config._warn()  # noqa: SLF001  # of the same package
    return config


def save(config: ExperimentConfig, path: str | os.PathLike[str]) -> None:
    """
    Write a configuration as YAML that `load` reads back: camelCase, absolute paths (PLT-071).

    The file may hold passwords and is readable by its owner only.
    """
    writer = yaml_writer()
    content = config.canonical()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        writer.dump(content, stream)


def yaml_writer() -> YAML:
    """Return what writes configurations: a key a line, in the order given."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # slow to import

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 4096  # a path or a command stays on its line
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed as None in ruamel
    return writer


def read_document(file: Path, *, as_named: Path | None = None) -> Document:
    """
    Parse a YAML file.

    Parameters
    ----------
    file
        An existing file.
    as_named
        How messages call it.
    """
    from nni.config._yaml import Document  # noqa: PLC0415  # ruamel takes tens of milliseconds

    name = as_named or file
    return Document(name, read_text(file, name))


def read_text(file: Path, name: Path) -> str:
    """
    Return the text of a UTF-8 file.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(Fault((), f"is not UTF-8 text (byte {error.start})", str(name))) from None
    except OSError as error:
        raise ConfigError(Fault((), f"cannot be read: {error.strerror}", str(name))) from None


def _around(config: ExperimentConfig, faults: list[Fault]) -> list[Fault]:
    """Return what is wrong around a faulty configuration, so that a user need not try twice to see it."""
    from nni.config._start import start_faults  # noqa: PLC0415  # imports this module

    is_readable = bool(config.model_fields_set) and all(fault.path for fault in faults)
    found = config._spelled(list(start_faults(config))) if is_readable else []  # noqa: SLF001  # of the same package
    return [fault for fault in found if not follows(fault, faults)]


def _existing(path: str | os.PathLike[str]) -> Path:
    try:
        file = paths.absolute(path)
    except ValueError as error:
        raise ConfigError(Fault((), str(error))) from None
    if not file.exists():
        raise ConfigError(Fault((), "no such file", os.fspath(path)))
    return file


def _read_as_written(document: Document, directory: Path) -> tuple[ExperimentConfig, list[Fault]]:
    """Read a document; where text is expected and a number stands, take the text as it is written (`0123`)."""
    data = document.value
    if data is None:
        return ExperimentConfig(), [Fault((), "is empty; expected an experiment configuration")]
    config, faults = read(ExperimentConfig, data, directory)
    texts = {
        fault.path: text
        for fault in faults
        if fault.message.startswith("expected text") and (text := document.text_at(fault.path)) is not None
    }
    if not texts:
        return config, faults
    for path, text in texts.items():
        data = _with(data, path, text)
    return read(ExperimentConfig, data, directory)


def _with(data: Any, path: KeyPath, value: Any) -> Any:
    """Return a copy with another value at a path that exists."""
    if not path:
        return value
    if isinstance(data, list):
        index = int(path[0])
        return [*data[:index], _with(data[index], path[1:], value), *data[index + 1 :]]
    key = find_key(data, path[0])
    return {**data, key: _with(data[key], path[1:], value)}
