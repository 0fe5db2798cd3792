"""The runner's end of one connection: what the manager was told, and what it still has to be told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from nni.common.log_text import text_parts
from nni.trial_runner import protocol as p
from nni.trial_runner.spool_reader import SpoolReader
from nni.trial_runner.trial import OUTPUT, RunnerTrial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class _Feed:
    """How far one trial has been told over this connection."""

    def __init__(self, trial: RunnerTrial, start: p.Start) -> None:
        self.trial = trial
        self.is_running_told = False
        self.is_end_told = False
        self._metrics = SpoolReader(trial.files.metrics, start.metrics)
        self._logs = [_Log("trial.log", trial.files.log, start.log), _Log("stderr", trial.files.stderr, start.stderr)]

    def news(self) -> list[p.Message]:
        """Return a piece of what is new; an empty list if nothing is."""
        trial = self.trial
        end = trial.end  # before the files are read: what it reported at last must go before its end
        if self.is_end_told:
            return []
        news: list[p.Message] = []
        if trial.refusal is not None:
            refusal, trial.refusal = trial.refusal, None
            news.append(p.Refused(trial.id, refusal.strerror or str(refusal), refusal.errno))
        if trial.started is not None and not self.is_running_told:
            self.is_running_told = True
            news.append(p.Running(trial.id, trial.started))
        lines = self._metrics.read()
        if lines:
            payload = b"\n".join(line for _, line in lines)
            news.append(p.Metrics(trial.id, lines[0][0], self._metrics.offset, payload))
        news += [piece for piece in (log.piece(trial.id) for log in self._logs) if piece is not None]
        if end is not None and not news:
            self.is_end_told = True
            news.append(p.Ended(trial.id, *end, trial.files.last_complaint(), len(trial.output_files())))
        return news

    def has_grown(self) -> bool:
        """Return whether a log is longer than what was sent of it."""
        return any(log.has_grown() for log in self._logs)

    def close(self) -> None:
        """Free the files."""
        self._metrics.close()
        for log in self._logs:
            log.close()


class _Log:
    """One log file and the place up to which it was sent."""

    def __init__(self, name: str, path: Path, place: int) -> None:
        self._name = name
        self._path = path
        self._place = place
        self._file = -1

    def piece(self, trial: str) -> p.Text | None:
        """Return the next piece; None if there is none yet."""
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY)
            except OSError:
                return None
        data = self._read()
        if not data:
            return None
        message = p.Text(trial, self._name, self._place, data)
        self._place += len(data)
        return message

    def _read(self) -> bytes:
        """Return what stands at the place, or behind the hole there, where the middle of a long log was dropped."""
        data = os.pread(self._file, p.PIECE, self._place)
        if b"\0" not in data:
            return data
        for begin, end in text_parts(self._file):
            if end > self._place:
                self._place = max(begin, self._place)
                return os.pread(self._file, min(p.PIECE, end - self._place), self._place)
        return b""

    def has_grown(self) -> bool:
        try:
            return self._path.stat().st_size > self._place
        except OSError:
            return False

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Connection:
    """Sends what is new of the trials that the manager asked about.

    Parameters
    ----------
    reader, writer
        The connection.
    handle
        Called with each message of the manager, after the one before was dealt with.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handle: Callable[[p.Message, Connection], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._feeds: dict[str, _Feed] = {}
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take messages until the connection ends."""
        sender = asyncio.get_running_loop().create_task(self._send_news())
        decoder = p.Decoder()
        try:
            while True:
                data = await self._reader.read(p.PIECE)
                if not data:
                    break
                for message in decoder.feed(data):
                    await self._handle(message, self)
        except ConnectionError:
            pass
        finally:
            for task in (sender, *self._tasks):
                task.cancel()
            for feed in self._feeds.values():
                feed.close()
            self.close()

    def send(self, message: p.Message) -> None:
        """Send a message of its own."""
        self._writer.write(p.encode(message))

    def watch(self, trial: RunnerTrial, start: p.Start) -> None:
        """Begin to tell of a trial, from given places on."""
        if trial.id in self._feeds:
            self._feeds[trial.id].close()
        self._feeds[trial.id] = _Feed(trial, start)
        self.mark(trial.id)

    def forget(self, trial: str) -> None:
        """Tell no more of a trial."""
        feed = self._feeds.pop(trial, None)
        if feed is not None:
            feed.close()

    def mark(self, trial: str) -> None:
        """Have a trial looked at: there may be news of it."""
        self._due[trial] = None
        self._wake.set()

    def mark_all(self) -> None:
        """Have all trials looked at."""
        self._due.update(dict.fromkeys(self._feeds))
        self._wake.set()

    def mark_grown(self) -> None:
        """Have those looked at whose logs grew."""
        for identifier, feed in self._feeds.items():
            if not feed.is_end_told and feed.has_grown():
                self.mark(identifier)

    def fetch(self, trial: RunnerTrial) -> None:
        """Begin to send the files of a trial's output directory."""
        task = asyncio.get_running_loop().create_task(self._send_files(trial))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()

    async def _send_news(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                due, self._due = self._due, {}
                for identifier in due:
                    feed = self._feeds.get(identifier)
                    news = feed.news() if feed is not None else []
                    for message in news:
                        self.send(message)
                    if news:
                        self.mark(identifier)  # until there is nothing left; others get their turn in between
                        await self._writer.drain()
        except OSError as error:  # the connection is cut, or a file cannot be read: the next connection tries again
            sys.stderr.write(f"the connection ends: {error}\n")
        finally:
            self.close()

    async def _send_files(self, trial: RunnerTrial) -> None:
        problems = []
        with contextlib.suppress(ConnectionError):
            for path in trial.output_files():
                name = path.relative_to(trial.files.directory / OUTPUT).as_posix()
                try:
                    await self._send_file(trial.id, name, path)
                except OSError as error:
                    if isinstance(error, ConnectionError):
                        raise
                    problems.append(f"{name}: {error.strerror or error}")
            self.send(p.Fetched(trial.id, problems))
            await self._writer.drain()

    async def _send_file(self, trial: str, name: str, path: Path) -> None:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            place = 0
            piece = file.read(p.PIECE)
            while True:
                following = file.read(p.PIECE)
                self.send(p.File(trial, name, mode, place, not following, piece))
                await self._writer.drain()
                if not following:
                    return
                place += len(piece)
                piece = following
