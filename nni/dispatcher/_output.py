"""Everything that the process writes goes to ``dispatcher.log``: log records, prints, crash dumps (PLT-185)."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

_FORMAT = "[%(asctime)s] %(levelname)s (%(name)s/%(threadName)s) %(message)s"
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S"

_LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
}


def set_up(directory: Path, level: str) -> None:
    """Write to ``dispatcher.log`` in `directory` from now on.

    What an algorithm prints, also from C code or a crash, is appended to the same file without a prefix, so that it
    stands between the records of what was being done.
    """
    path = directory / "dispatcher.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    sys.stdout.flush()
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]  # the interpreter's own text streams
    faulthandler.enable(descriptor)
    _log_to(os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace"), level)


def _log_to(stream: TextIO, level: str) -> None:
    logging.addLevelName(_LEVELS["trace"], "TRACE")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_FORMAT, _DATE_FORMAT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS.get(level.lower(), logging.INFO))
    logging.captureWarnings(capture=True)
