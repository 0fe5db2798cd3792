"""Keeps the logs of running trials below their limit, without a process or a pipe between a trial and its log.

A pipe would end trials that outlive the manager, and a process for each trial costs more than many a trial. Looking at
the size of a file costs a microsecond; only a log that is too long costs more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from nni.common.log_limit import CannotCutError, cut, finish, is_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from nni.trial_runner.script import TrialFiles

_logger = logging.getLogger(__name__)
_FASTEST, _SLOWEST = 0.05, 1.0  # seconds between two looks
_FLOOD = 400e6  # bytes a second that a trial may write before the first look finds it
_SHARE = 50  # a look may take this part of the time at most


@dataclass(frozen=True)
class LogLimit:
    """How long each of a trial's logs may become.

    Parameters
    ----------
    size
        Bytes.
    setting
        The limit in words, for the line that is put in the place of what is dropped.
    """

    size: int
    setting: str


class LogWatch:
    """Looks at the logs of running trials.

    Parameters
    ----------
    limit
        None: no log is looked at.
    running
        Returns the files of the trials that run.
    """

    def __init__(self, limit: LogLimit | None, running: Callable[[], Iterable[TrialFiles]]) -> None:
        self._limit = limit
        self._running = running
        self._sizes: dict[Path, int] = {}
        self._told: set[Path] = set()
        self._uncut: set[Path] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Look until cancelled: slowly while logs grow slowly, often while one grows fast."""
        limit = self._limit
        if limit is None:
            return
        slow = min(_SLOWEST, max(2 * _FASTEST, limit.size / _FLOOD))
        while True:
            started = time.monotonic()
            grown = self._look()
            too_long = [path for path in self._sizes if path not in self._uncut and is_over(path, limit.size)]
            took = time.monotonic() - started
            for path in too_long:
                await self._cut(path, limit)
            pause = _FASTEST if grown > limit.size / 16 else slow
            await asyncio.sleep(max(pause, _SHARE * took))

    def _look(self) -> int:
        """Note the sizes of all logs; returns by how much the fastest one grew."""
        sizes = {path: _size(path) for files in self._running() for path in (files.log, files.stderr)}
        grown = max((size - self._sizes.get(path, 0) for path, size in sizes.items()), default=0)
        self._sizes = sizes
        self._told &= sizes.keys()
        self._uncut &= sizes.keys()
        return grown

    async def _cut(self, path: Path, limit: LogLimit) -> None:
        try:
            async with self._turn:
                loop = asyncio.get_running_loop()
                missing = await loop.run_in_executor(None, cut, path, limit.size, limit.setting)
        except CannotCutError as error:
            self._uncut.add(path)
            _logger.warning("%s is over %s and can be cut only when its trial ends: %s", path, limit.setting, error)
        except OSError as error:
            self._uncut.add(path)
            _logger.warning("%s is over %s and cannot be cut: %s", path, limit.setting, error)
        else:
            if path not in self._told:
                self._told.add(path)
                _logger.warning("%s is over %s: its middle is dropped (%d bytes so far)", path, limit.setting, missing)

    def ended(self, files: TrialFiles) -> None:
        """Have the logs of a trial that has ended made ordinary files within the limit."""
        if self._limit is None:
            return
        for path in (files.log, files.stderr):
            if _size(path) > self._limit.size:
                task = asyncio.get_running_loop().create_task(self._finish(path, self._limit))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _finish(self, path: Path, limit: LogLimit) -> None:
        try:
            async with self._turn:  # its last cut may be under way
                await asyncio.get_running_loop().run_in_executor(None, finish, path, limit.size, limit.setting)
        except OSError as error:
            _logger.warning("%s stays as long as it is: %s", path, error)

    async def settle(self) -> None:
        """Return when every log of a trial that has ended is as it will stay."""
        await asyncio.gather(*self._tasks)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
