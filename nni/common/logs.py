"""Log files and levels: the documented line format and vocabulary (PLT-088, 185 … 187)."""

from __future__ import annotations

import logging
from pathlib import Path

LEVELS = {
    "trace": 0,
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
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(LINE, TIME))
    for library in ("asyncio", "filelock", "httpx", "uvicorn"):  # their debug records drown ours
        logging.getLogger(library).setLevel(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    # Level 0 means "ask the parent" to Python's logging; the root has none, so 1 is what lets everything through.
    root.setLevel(max(1, LEVELS[level]))
