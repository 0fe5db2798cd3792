"""A directory of annotated trial code: its search space, and a converted copy of it (HPO-097, PLT-385)."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nni.annotation._errors import AnnotationError, Problem
from nni.annotation._source import AnnotatedSource, Variable
from nni.common.errors import NniError

_LEFT_OUT = {"__pycache__", ".git", ".hg", ".svn", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
_IN_QUOTES = re.compile(rb"""['"]\s*@nni\.""")  # worth a closer look; other files need not even be Python
_LARGEST_COPY = 10 * 1024 * 1024  # bytes; larger files are data, and are linked


class AnnotatedDirectory:
    """What :func:`read_directory` found.

    Attributes
    ----------
    search_space
        Of all annotations: ``{key: {"_type": ..., "_value": ...}}``.
    places
        ``file:line`` of every key.
    """

    def __init__(self, directory: Path, sources: dict[Path, AnnotatedSource]) -> None:
        self._directory = directory
        self._sources = sources
        variables = [variable for source in sources.values() for variable in source.variables]
        keys = _keys(variables)
        self.search_space: dict[str, Any] = {key: one.entry for key, one in zip(keys, variables, strict=True)}
        self.places = {key: f"{one.file}:{one.line}" for key, one in zip(keys, variables, strict=True)}
        rest = iter(keys)
        self._rewritten = {
            file: source.rewritten({place: next(rest) for place in range(len(source.variables))})
            for file, source in sources.items()
        }

    def convert_to(self, target: Path, leave_out: Sequence[Path] = ()) -> None:
        """Write a copy of the directory in which annotations are code. The original is not touched.

        Files above 10 MB, and directories that are links, are linked to. Left out are caches, version control, virtual
        environments and the directories of experiments.

        Parameters
        ----------
        target
            A directory that does not exist yet.
        leave_out
            Directories that are not copied.
        """
        target.mkdir(parents=True)
        skipped = {path.resolve() for path in (*leave_out, target)}
        for folder, folders, files in os.walk(self._directory):
            here, there = Path(folder), target / Path(folder).relative_to(self._directory)
            for name in list(folders):
                if (here / name).is_symlink():
                    (there / name).symlink_to((here / name).resolve(), target_is_directory=True)
                    folders.remove(name)
                elif _is_left_out(here / name, skipped):
                    folders.remove(name)
                else:
                    (there / name).mkdir()
                    shutil.copystat(here / name, there / name)
                    (there / name).chmod(0o700 | (there / name).stat().st_mode)
            for name in files:
                self._write(here / name, there / name)

    def _write(self, file: Path, copy: Path) -> None:
        rewritten = self._rewritten.get(file)
        if rewritten is not None:
            copy.write_bytes(rewritten)
            shutil.copymode(file, copy)
        elif not file.is_file():  # a socket, a FIFO, a link to nowhere
            if file.is_symlink():
                copy.symlink_to(file.readlink())
        elif file.stat().st_size > _LARGEST_COPY:
            copy.symlink_to(file.resolve())
        else:
            shutil.copy2(file, copy)


def read_directory(directory: Path) -> AnnotatedDirectory:
    """Read the annotations of every Python file in a directory, at any depth.

    Raises
    ------
    AnnotationError
        With everything that is wrong in them, or because there are none.
    NniError
        If the directory or a file cannot be read.
    """
    sources: dict[Path, AnnotatedSource] = {}
    problems: list[Problem] = []
    for file in _python_files(directory):
        try:
            raw = file.read_bytes()
            if not _IN_QUOTES.search(raw):
                continue
            source = AnnotatedSource(raw, file.relative_to(directory).as_posix())
        except AnnotationError as error:
            problems += error.problems
        except OSError as error:
            raise NniError(f"{file}: cannot be read: {error.strerror}") from None
        else:
            if source.is_annotated:
                sources[file] = source
    if not problems and not any(source.variables for source in sources.values()):
        expected = "expected '''@nni.variable(nni.choice(1, 2), name=x)''' above an assignment to x in a .py file"
        problems.append(Problem(str(directory), f"nothing is annotated as to be tuned; {expected}"))
    if problems:
        raise AnnotationError(problems)
    return AnnotatedDirectory(directory, sources)


def is_annotated(directory: Path) -> bool:
    """Return whether there is an annotation in any Python file of a directory, right or wrong.

    Raises
    ------
    NniError
        If there is no such directory.
    """
    return any(_IN_QUOTES.search(file.read_bytes()) for file in _python_files(directory))


def _python_files(directory: Path) -> Iterator[Path]:
    if not directory.is_dir():
        raise NniError(f"{directory}: no such directory")
    for folder, folders, files in os.walk(directory):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not _is_left_out(here / name, set()))
        for name in sorted(files):
            if name.endswith(".py") and (here / name).is_file():
                yield here / name


def _is_left_out(folder: Path, skipped: set[Path]) -> bool:
    return (
        folder.name in _LEFT_OUT
        or (folder / "pyvenv.cfg").is_file()
        or (folder / "db" / "nni.sqlite").is_file()
        or (bool(skipped) and folder.resolve() in skipped)
    )


def _keys(variables: list[Variable]) -> list[str]:
    """Return a name for each: its own where that is unique, else with its file, else with the line too."""
    keys = [variable.name for variable in variables]
    with_file = [f"{one.file.removesuffix('.py')}/{one.name}" for one in variables]
    with_line = [f"{one.file}:{one.line}/{one.name}" for one in variables]
    for longer in (with_file, with_line):
        counts = Counter(keys)
        keys = [key if counts[key] == 1 else long for key, long in zip(keys, longer, strict=True)]
    return keys
