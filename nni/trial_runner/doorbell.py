"""The doorbell: a FIFO into which trials write their id after reporting, so that the manager need not poll."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_WINDOW = 0.02  # seconds during which rings are collected: bounds wake-ups at fifty a second, however many report
_PIPE = 64 * 1024  # Linux' default capacity


class Doorbell:
    """Listens to the FIFO and calls back with the ids that rang; an empty set means that anybody may have."""

    def __init__(self, path: Path, callback: Callable[[set[str]], None]) -> None:
        self.path = path
        self._callback = callback
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # Read and write: the pipe never ends, and what is rung while no trial has it open is kept.
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to listen on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._rung)

    def _rung(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._file)
        self._timer = self._loop.call_later(_WINDOW, self._answer)

    def _answer(self) -> None:
        assert self._loop is not None
        self._timer = None
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._file, 2 * _PIPE)
        self._loop.add_reader(self._file, self._rung)
        overrun = len(data) >= _PIPE // 2  # rings may have been lost to a full pipe
        ids = set() if overrun else {line.decode(errors="replace") for line in data.split(b"\n") if line}
        if data:
            self._callback(ids)

    def close(self) -> None:
        """Stop listening."""
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._file)
        os.close(self._file)
