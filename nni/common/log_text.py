"""Reading log files: whole, or their first or last lines, and without the hole that a dropped middle leaves in them.

A log that a process keeps open cannot be rewritten under it. What is dropped of it (see `nni.common.log_limit`) is
therefore given back to the file system as a hole, and the file keeps its length until the process has ended. Whoever
reads the file goes round the hole here.
"""

from __future__ import annotations

import errno
import os
import time
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

_PIECE = 64 * 1024
_PAUSE = 0.5  # seconds between two looks at a log that is followed


def read_log(path: Path, head: int | None = None, tail: int | None = None) -> Iterator[bytes]:
    """
    Yield the text of a log file, in pieces; it is never held in memory whole.

    Parameters
    ----------
    path
        The file. It may be growing; what comes after the call may be missing.
    head
        Only so many lines from its beginning. `tail` is ignored then.
    tail
        Only so many lines from its end.

    Raises
    ------
    OSError
        At once, not at the first piece: the file is missing or cannot be read.
    """
    return _read(path.open("rb"), head, tail)  # an open file, not a number: it is closed if nobody asks for a piece


def _read(file: BinaryIO, head: int | None, tail: int | None) -> Iterator[bytes]:
    with file:
        descriptor = file.fileno()
        parts = text_parts(descriptor)
        if head is not None:
            yield from islice(_lines(_pieces(descriptor, parts)), head)
        elif tail is not None:
            yield from _pieces(descriptor, _last_lines(descriptor, parts, tail))
        else:
            yield from _pieces(descriptor, parts)


def follow_log(path: Path, goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """
    Yield the text of a log file, and what is added to it, as it comes.

    Parameters
    ----------
    path
        The file. One that takes its place in the end is not followed: it says the same.
    goes_on
        Asked before each look, twice a second, whether more may come; after False is a last look.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    """
    with path.open("rb") as file:
        descriptor, place, is_last = file.fileno(), 0, False
        while not is_last:
            is_last = not goes_on()
            size = os.fstat(descriptor).st_size
            parts = [(max(begin, place), min(end, size)) for begin, end in text_parts(descriptor)]
            yield from _pieces(descriptor, parts)
            place = size
            if not is_last:
                time.sleep(_PAUSE)


def text_parts(descriptor: int) -> list[tuple[int, int]]:
    """Return where the text of an open file stands: (begin, end) of each part between its holes, in order.

    A hole has the borders of the file system's blocks; the zeros around it, in blocks that were dropped in part, belong
    to it.
    """
    size = os.fstat(descriptor).st_size
    parts: list[tuple[int, int]] = []
    place = 0
    while place < size:
        begin, place = _next_data(descriptor, place, size)
        text = _skip_zeros(descriptor, begin, place) if begin > 0 else 0
        end = _before_zeros(descriptor, text, place) if place < size else size
        if text < end:
            parts.append((text, end))
    return parts


def _next_data(descriptor: int, place: int, size: int) -> tuple[int, int]:
    """Return begin and end of the data at a place or behind it; a file system that tells of no holes has none."""
    try:
        begin = os.lseek(descriptor, place, os.SEEK_DATA)
        return begin, min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
    except OSError as error:
        return (size, size) if error.errno == errno.ENXIO else (place, size)


def _skip_zeros(descriptor: int, begin: int, end: int) -> int:
    while begin < end:
        piece = os.pread(descriptor, min(_PIECE, end - begin), begin)
        kept = piece.lstrip(b"\0")
        begin += len(piece) - len(kept)
        if kept or not piece:
            break
    return begin


def _before_zeros(descriptor: int, begin: int, end: int) -> int:
    while begin < end:
        size = min(_PIECE, end - begin)
        kept = os.pread(descriptor, size, end - size).rstrip(b"\0")
        end += len(kept) - size
        if kept:
            break
    return end


def _pieces(descriptor: int, parts: list[tuple[int, int]]) -> Iterator[bytes]:
    for begin, end in parts:
        place = begin
        while place < end and (piece := os.pread(descriptor, min(_PIECE, end - place), place)):
            if b"\0" in piece:  # the log may have been cut since its parts were found
                yield from _what_is_left(descriptor, place, place + len(piece))
            else:
                yield piece
            place += len(piece)


def _what_is_left(descriptor: int, begin: int, end: int) -> Iterator[bytes]:
    for first, last in text_parts(descriptor):
        if (size := min(last, end) - max(first, begin)) > 0:
            yield os.pread(descriptor, size, max(first, begin))


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines; only a newline ends one: carriage returns are what progress bars write."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _last_lines(descriptor: int, parts: list[tuple[int, int]], lines: int) -> list[tuple[int, int]]:
    """Return the parts that hold the last `lines` lines, reading only as much of the end as needed."""
    if lines == 0:
        return []
    found = -1  # the newline that ends the file begins no line
    for begin, piece in _pieces_from_end(descriptor, parts):
        if found == -1 and not piece.endswith(b"\n"):
            found = 0
        position = len(piece)
        while (position := piece.rfind(b"\n", 0, position)) >= 0:
            found += 1
            if found == lines:
                start = begin + position + 1
                return [(max(start, first), last) for first, last in parts if last > start]
    return parts


def _pieces_from_end(descriptor: int, parts: list[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    for begin, end in reversed(parts):
        place = end
        while place > begin:
            size = min(_PIECE, place - begin)
            place -= size
            yield place, os.pread(descriptor, size, place)
