"""Paths as users write them: ``~``, relative to a file or to the current directory (PLT-071)."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None) -> Path:
    """
    Return an absolute path: ``~`` expanded, relative ones based on a directory.

    Symbolic links stay as they are written, so that a path reads as the user knows it. Only where ``..`` occurs
    is the path resolved, because the parent of a link's target is another directory than the parent of the link.

    Parameters
    ----------
    path
        Absolute or relative.
    directory
        What relative paths are relative to; by default the current directory.

    Raises
    ------
    ValueError
        If no path can be: empty, holds a NUL or unencodable character, or ``~user`` names nobody.
    """
    text = os.fspath(path)
    if not text:
        raise ValueError("expected a path, got an empty text")
    _check_characters(text)
    try:
        expanded = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"no home directory is known for {text!r}") from None
    full = Path.cwd() / (directory or "") / expanded
    return full.resolve() if ".." in full.parts else full


def default_experiments_directory() -> Path:
    """Return ``~/nni-experiments``, the root of all experiments unless configured otherwise (PLT-089)."""
    return absolute("~/nni-experiments")


def _check_characters(text: str) -> None:
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} holds characters that cannot be in a path") from None
    if b"\0" in encoded:
        raise ValueError(f"{text!r} holds a NUL character, which cannot be in a path")
