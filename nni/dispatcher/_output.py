"""Everything that the process writes goes to ``dispatcher.log``: log records, prints, crash dumps (PLT-185)."""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path

from nni.common import logs


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
    logs.to_stream(os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace"), level)
