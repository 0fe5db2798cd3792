"""Log files and levels: the documented line format and vocabulary (PLT-088, 185 … 187)."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TextIO

LEVELS = {  # trace is 5, not 0: to Python's logging 0 means "whatever the parent says"
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}

LINE = "[%(asctime)s] %(levelname)s (%(name)s/%(threadName)s) %(message)s"
TIME = "%Y-%m-%d %H:%M:%S"


class _LineFormatter(logging.Formatter):
    """Formats the time once a second: it is most of the work of a line, and a busy manager writes many."""

    _second = -1
    _text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  (its name there)
        del datefmt
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime(TIME, time.localtime(second))
            self._second = second
        return self._text


def to_file(path: Path, level: str) -> None:
    """Send the root logger's records to a file, in the documented format.

    Parameters
    ----------
    path
        The file; appended to.
    level
        A name of the documented vocabulary, see `LEVELS`.
    """
    for library in ("asyncio", "filelock", "httpx", "uvicorn"):  # their debug records drown ours
        logging.getLogger(library).setLevel(logging.WARNING)
    _install(logging.FileHandler(path, encoding="utf-8"), level)


def to_stream(stream: TextIO, level: str) -> None:
    """Send the root logger's records, and warnings, to an open stream; for a process that has no other output."""
    _install(logging.StreamHandler(stream), level)
    logging.captureWarnings(capture=True)


def _install(handler: logging.Handler, level: str) -> None:
    logging.addLevelName(LEVELS["trace"], "TRACE")
    handler.setFormatter(_LineFormatter(LINE))
    # What no line shows need not be found out (see "Optimization" in the documentation of logging).
    logging._srcfile = None  # noqa: SLF001
    logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS.get(level.lower(), logging.INFO))
