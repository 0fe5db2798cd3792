"""Log files and levels: the documented line format and vocabulary (PLT-088, 185 … 187)."""

from __future__ import annotations

import logging
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
    handler.setFormatter(logging.Formatter(LINE, TIME))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS.get(level.lower(), logging.INFO))
