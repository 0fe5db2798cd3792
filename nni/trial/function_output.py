"""The directory of a trial that is a function call: made when something is to go into it.

Most trials neither print nor leave files. So standard output and error of a worker first go into files of its own; the
trial's directory is made, and both lead there, from the first text that Python writes on, the first time somebody asks
where the directory is, and the first time another program is started. What came before is put there at the end.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_NAMES = ("trial.log", "stderr")
_TELLING = frozenset({"NNI_SYS_DIR", "NNI_OUTPUT_DIR"})
_environment = type(os.environ)


class Output:
    """Where descriptors 1 and 2 lead, and the directory of the present trial."""

    def __init__(self) -> None:
        self._own = (os.dup(1), os.dup(2))
        self._directory = ""
        self._open = True

    def install(self) -> None:
        """Have the process' streams, environment and child processes make the directory when they need it."""
        sys.stdout, sys.stderr = (_text(number, self) for number in (1, 2))
        os.environ = _Environment(self)  # noqa: B003  (a view of the same variables)
        _announce_programs(self)

    def begin(self, directory: str) -> None:
        """Begin a trial with this directory, which need not exist."""
        self._directory = directory
        self._open = False

    def make(self) -> None:
        """Make the directory, if there is none yet, and let what is written from now on go into it."""
        if self._open:
            return
        self._open = True
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory)
        for number, name in enumerate(_NAMES, start=1):
            path = os.path.join(self._directory, name)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.dup2(file, number)
            os.close(file)

    def end(self) -> None:
        """End the trial: nothing that is written from now on is its own."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if any(os.fstat(own).st_size for own in self._own):
            self.make()
            for number, own in enumerate(self._own, start=1):
                _move(own, number)
        if self._open:
            for number, own in enumerate(self._own, start=1):
                os.dup2(own, number)
        self._open = True


def _move(source: int, target: int) -> None:
    """Move what a file holds to the end of another one."""
    place = 0
    while piece := os.pread(source, 1 << 20, place):
        place += os.write(target, piece)
    os.ftruncate(source, 0)


class _Stream(io.RawIOBase):
    """A descriptor that leads to the trial before it is written to."""

    def __init__(self, number: int, output: Output) -> None:
        super().__init__()
        self._number = number
        self._output = output

    def fileno(self) -> int:
        return self._number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._output.make()
        return os.write(self._number, data)


def _text(number: int, output: Output) -> io.TextIOWrapper:
    binary = io.BufferedWriter(_Stream(number, output))
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class _Environment(_environment):  # type: ignore[misc, valid-type]  # the class has no public name
    """The process' environment, which notices who asks for the trial's directory."""

    def __init__(self, output: Output) -> None:
        self.__dict__.update(os.environ.__dict__)
        self.__dict__["_output"] = output

    def __getitem__(self, name: str) -> str:
        if name in _TELLING:
            self.__dict__["_output"].make()
        value: str = super().__getitem__(name)
        return value


def _announce_programs(output: Output) -> None:
    """Make the directory before another program starts, which has it in its environment."""
    original = subprocess.Popen.__init__

    def announced(self: Any, *arguments: Any, **keywords: Any) -> None:
        output.make()
        original(self, *arguments, **keywords)

    subprocess.Popen.__init__ = announced  # type: ignore[method-assign]
    os.register_at_fork(before=output.make)
