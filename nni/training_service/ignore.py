"""``.nniignore``: which files of a directory are left out, with the rules of git's ``.gitignore`` (PLT-250, PLT-374).

The translation of a pattern is pathspec's. The order is git's: of the patterns that match a path the last one counts,
those of a nearer ``.nniignore`` come after those of one further up, and nothing inside of a directory that is left out
can be taken back.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

NAME = ".nniignore"
_logger = logging.getLogger(__name__)
_TRAILING_SPACES = re.compile(r"(?<!\\)((?:\\\\)*) +$")
_OTHER_SPACE_AT_END = re.compile(r"(?<!\\)([^\S ])$")  # git takes it as it is, pathspec would drop it
_CLASS = re.compile(r"(?<=\[)([^/\]]*)\[:([a-z]+):\]")
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \t",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line."""

    compiled: Any
    leaves_out: bool
    directories_only: bool
    on_names: bool
    """Whether it is about the last part of a path, wherever that is."""

    def matches(self, path: str, *, is_directory: bool) -> bool:
        if self.directories_only and not is_directory:
            return False
        found = self.compiled.match_file(path.rpartition("/")[2] if self.on_names else path)
        # pathspec matches what is inside of a matching directory too; here each directory is asked about by itself.
        return found is not None and found.match.groupdict().get("ps_d") is None


class Rules:
    """The patterns of one ``.nniignore``.

    Parameters
    ----------
    lines
        As in the file, a character for each of its bytes; wrong ones match nothing, as in git.
    """

    def __init__(self, lines: list[str]) -> None:
        self._patterns = list(_parse(lines))

    def decide(self, path: str, *, is_directory: bool) -> bool | None:
        """Return whether a path, relative to the file's directory, is left out; None where no pattern matches."""
        # As git does: byte by byte, so that a name need not be text, and "?" is one byte.
        name = os.fsencode(path).decode("latin-1")
        for pattern in reversed(self._patterns):
            if pattern.matches(name, is_directory=is_directory):
                return pattern.leaves_out
        return None


def read_rules(directory: Path) -> Rules | None:
    """Return the rules of a directory's ``.nniignore``; None where it has none.

    Raises
    ------
    OSError
        The file is there and cannot be read.
    """
    try:
        text = (directory / NAME).read_bytes().removeprefix(codecs.BOM_UTF8).decode("latin-1")
    except (FileNotFoundError, IsADirectoryError):
        return None
    return Rules([line.removesuffix("\r") for line in text.split("\n")])


def _parse(lines: list[str]) -> Iterator[_Pattern]:
    for line in lines:
        text = _TRAILING_SPACES.sub(r"\1", line)
        bare = text.removesuffix("/")
        core = bare.removeprefix("!")
        if not core or text.startswith("#") or core.endswith("/"):
            continue
        compiled = _compile(_OTHER_SPACE_AT_END.sub(r"\\\1", _written_out(bare)))
        if compiled is not None:
            yield _Pattern(compiled, compiled.include, bare != text, "/" not in core)


def _compile(pattern: str) -> Any:
    """Return pathspec's form of one pattern; None for one that matches nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets of letters such as [[a]
            (compiled,) = GitIgnoreSpec.from_lines([pattern]).patterns
    except ValueError as error:
        _logger.debug("%s: a pattern that matches nothing: %r (%s)", NAME, pattern, error)
        return None
    return None if compiled.include is None else compiled


def _written_out(pattern: str) -> str:
    """Write out the classes of characters, such as ``[:alpha:]``, which pathspec does not know."""
    while (changed := _CLASS.sub(lambda match: match[1] + _CLASSES.get(match[2], ""), pattern)) != pattern:
        pattern = changed
    return pattern
