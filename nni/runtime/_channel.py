"""The dispatcher's end of the socket pair: whole lines in, whole lines out."""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING, Any

from nni.runtime.protocol import CommandType, Message, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sink = Callable[[CommandType, Any], None]

_CHUNK = 1 << 16

GONE = "the manager closed the channel"
"""Data of the ``Terminate`` that stands for the end of file: nobody waits for what is still queued."""


class ChannelClosedError(ConnectionError):
    """There is nobody left to send to; the dispatcher ends."""


class Channel:
    """Reads messages in a thread of its own, so that an end is noticed while an algorithm computes.

    File descriptors are read directly: a buffered reader that a daemon thread waits in makes CPython abort at exit.

    Parameters
    ----------
    fd
        A connected stream socket; from here on owned by this object.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._closed = False
        os.set_blocking(fd, True)
        os.set_inheritable(fd, False)  # noqa: FBT003 - takes no keywords; a tuner's own processes must not keep the channel open
        os.register_at_fork(after_in_child=self._forked)
        self._lines = lines(fd)
        self._write_lock = threading.Lock()
        self._sink_lock = threading.Lock()
        self._backlog: list[Message] = []
        self._sink: Sink | None = None
        self._ended: Callable[[Message], None] | None = None

    def receive(self) -> Message | None:
        """Return the next message, None at the end; only before :meth:`start`."""
        line = next(self._lines, None)
        return None if line is None else decode(line)

    def start(self, ended: Callable[[Message], None]) -> None:
        """Start reading; messages are kept until :meth:`deliver_to` says where they go.

        `ended` is called in the reading thread with the last message, after that was delivered: the ``Terminate``
        of the manager, or one that stands for the end of file, with the data :data:`GONE`. A line that is no message
        ends the reading, too: it is not delivered, and `ended` gets an ``Error`` whose data is the exception.
        """
        self._ended = ended
        threading.Thread(target=self._read, name="channel", daemon=True).start()

    def deliver_to(self, sink: Sink) -> None:
        """Hand every message, those already read first, to ``sink(command, data)``."""
        with self._sink_lock:
            for message in self._backlog:
                sink(*message)
            self._backlog.clear()
            self._sink = sink

    def send(self, lines: bytes) -> None:
        """Write whole lines; raises :class:`ChannelClosedError` when the manager is gone."""
        rest = memoryview(lines)
        with self._write_lock:
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                raise ChannelClosedError(GONE) from error

    def wait_until_gone(self, seconds: float) -> None:
        """Return when the manager's end is closed, at the latest after `seconds`; only after ``Terminate``."""
        select.select([self._fd], [], [], seconds)

    def close(self) -> None:
        """Close the descriptor; only where nobody reads any more."""
        self._closed = True
        os.close(self._fd)

    def _read(self) -> None:
        assert self._ended is not None
        try:
            last = self._deliver_all()
        except (ValueError, KeyError, TypeError) as error:
            last = Message(CommandType.Error, error)
        self._ended(last)

    def _deliver_all(self) -> Message:
        for line in self._lines:
            message = decode(line)
            self._deliver(message)
            if message.command is CommandType.Terminate:
                return message
        last = Message(CommandType.Terminate, GONE)
        self._deliver(last)
        return last

    def _deliver(self, message: Message) -> None:
        with self._sink_lock:
            if self._sink is None:
                self._backlog.append(message)
            else:
                self._sink(*message)

    def _forked(self) -> None:
        if not self._closed:
            os.close(self._fd)


def lines(fd: int) -> Iterator[bytes]:
    """Yield the lines that arrive on `fd`, without their newline, until its end; a last unfinished one is dropped."""
    parts: list[bytes] = []
    while chunk := _read_some(fd):
        *whole, tail = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*parts, line)) if parts else line
            parts = []
        if tail:
            parts.append(tail)


def _read_some(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK)
    except ConnectionError:  # a manager that was killed with data unread
        return b""
