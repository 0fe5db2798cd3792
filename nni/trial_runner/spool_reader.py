"""Reads a trial's metric file from where it was left, whole lines only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_EXCERPT = 200  # bytes shown of a line that is too long to be a metric
_CHUNK = 256 * 1024  # about ten milliseconds of parsing: the event loop stays responsive under a flood


class SpoolReader:
    """One trial's metric file and the place up to which it has been read."""

    def __init__(self, path: Path | str, offset: int) -> None:
        self._path = path
        self._file = -1
        self.offset = offset
        self.at_end = False
        """Whether the last :meth:`read` reached the end that the file had then."""

    def read(self) -> list[tuple[int, bytes]]:
        """Return further whole lines, each with its place; an empty list when there is none yet."""
        data = self._read_bytes(_CHUNK)
        self.at_end = len(data) < _CHUNK
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == _CHUNK:  # one line longer than the chunk
            data = self._read_bytes(8 * _CHUNK)
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) == 8 * _CHUNK:  # twice as long as the longest metric
                return self._skip_line(data[:_EXCERPT])
        place = self.offset
        lines = []
        for line in data[:end].split(b"\n")[:-1]:
            lines.append((place, line))
            place += len(line) + 1
        self.offset = place
        return lines

    def _skip_line(self, excerpt: bytes) -> list[tuple[int, bytes]]:
        """Go on behind a line that no trial reported; only its beginning is handed over."""
        start = place = self.offset
        while chunk := os.pread(self._file, 8 * _CHUNK, place):
            end = chunk.find(b"\n")
            if end >= 0:
                self.offset = place + end + 1
                return [(start, excerpt)]
            place += len(chunk)
        return []

    def _read_bytes(self, size: int) -> bytes:
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:  # nothing reported yet
                return b""
        return os.pread(self._file, size, self.offset)

    def close(self) -> None:
        """Free the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
