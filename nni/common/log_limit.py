"""Log files that stay below a size: their beginning and their end are kept, and a line between tells what is missing.

The process that writes a log keeps it open, may have opened it without ``O_APPEND`` (a shell's ``2>file``), and writes
on while its log is cut; so the file is never rewritten, moved or shortened as long as it can be written to. Instead its
middle is given back to the file system (`fallocate` with PUNCH_HOLE; ext4, xfs, btrfs, tmpfs, NFS 4.2, …), which
changes neither the length of the file nor what stands at its end. Nothing has to be remembered between two cuts: the
file itself tells by how much disk it takes. Once nobody writes any more, `finish` makes an ordinary file of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil

from nni.common.log_text import text_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_LINE = 64 * 1024  # as far is looked for the border of a line; of a longer one a piece is kept
_MARK = b"[nni] "
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02


class CannotCutError(Exception):
    """The file system cannot take back the middle of a file that is being written."""


def is_over(path: Path, limit: int) -> bool:
    """Return whether a log takes more than `limit` bytes of the disk; False where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_size > limit and status.st_blocks * 512 > limit


def cut(path: Path, limit: int, setting: str) -> int:
    """
    Drop the middle of a log that is being written, so that it takes at most three quarters of the limit.

    A quarter of the limit is kept of the beginning and a half of the end, both up to the border of a line.

    Parameters
    ----------
    path
        The log.
    limit
        Bytes.
    setting
        How the line that is put in the place of the middle names the limit.

    Returns
    -------
    int
        How many bytes are missing now, those of earlier cuts included.

    Raises
    ------
    CannotCutError
        See there; the file is as it was.
    OSError
        It cannot be opened or written.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        first, last = _middle(descriptor, limit)
        notice = _notice(descriptor, first, last, setting)
        _punch(descriptor, first + len(notice), last)
        _write(descriptor, first, notice)
    finally:
        os.close(descriptor)
    return last - first


def finish(path: Path, limit: int, setting: str) -> bool:
    """
    Make an ordinary file within the limit of a log that nobody writes to any more.

    Returns
    -------
    bool
        Whether it was too long; False, too, where it had been and already is an ordinary file within the limit.

    Raises
    ------
    OSError
        There is no room for the parts that are kept; the log stays as it is, readable with `read_log`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        size = os.fstat(descriptor).st_size
        if size <= limit:
            return False
        first, last = _middle(descriptor, limit)
        kept = text_parts(descriptor)[-1][0]  # where the end begins, if it was cut while it was written
        if kept > first and first + size - kept <= limit:
            last = kept
        _replace(path, descriptor, (first, last, size), _notice(descriptor, first, last, setting))
    finally:
        os.close(descriptor)
    return True


def _replace(path: Path, descriptor: int, borders: tuple[int, int, int], notice: bytes) -> None:
    first, last, size = borders
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as target:
            _copy(descriptor, 0, first, target.fileno())
            _write(target.fileno(), None, notice)
            _copy(descriptor, last, size, target.fileno())
        shutil.copymode(path, new)
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _middle(descriptor: int, limit: int) -> tuple[int, int]:
    """Return begin and end of what is to be dropped. The beginning is the same each time."""
    size = os.fstat(descriptor).st_size
    return _end_of_head(descriptor, limit // 4), _begin_of_tail(descriptor, size - limit // 2, size)


def _end_of_head(descriptor: int, wanted: int) -> int:
    window = os.pread(descriptor, min(_LINE, wanted), max(0, wanted - _LINE))
    marked = window.rfind(b"\n" + _MARK)
    _, _, behind = window[marked + 1 :].partition(b"\n")
    if marked >= 0 and not behind.strip(b"\0"):
        return wanted - len(window) + marked + 1  # where the line of an earlier cut stands
    return wanted - len(window) + window.rfind(b"\n") + 1 if b"\n" in window else wanted


def _begin_of_tail(descriptor: int, wanted: int, size: int) -> int:
    window = os.pread(descriptor, min(_LINE, size - wanted), wanted)
    return wanted + window.find(b"\n") + 1 if b"\n" in window[:-1] else wanted


def _notice(descriptor: int, first: int, last: int, setting: str) -> bytes:
    """Return the line that stands for the middle; of one length, so that a later one covers it."""
    begins_line = first == 0 or os.pread(descriptor, 1, first - 1) == b"\n"
    text = f"{last - first:>15} bytes of this log were dropped here ({setting})\n".encode()
    return (b"" if begins_line else b"\n") + _MARK + text


def _punch(descriptor: int, begin: int, end: int) -> None:
    import ctypes  # noqa: PLC0415  (for the few that need it)

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fallocate = libc.fallocate
    except AttributeError:
        raise CannotCutError("this system has no fallocate") from None
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, begin, end - begin) != 0:
        number = ctypes.get_errno()
        if number in {errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV}:
            raise CannotCutError(os.strerror(number))
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def _write(descriptor: int, place: int | None, data: bytes) -> None:
    while data:
        written = os.write(descriptor, data) if place is None else os.pwrite(descriptor, data, place)
        data = data[written:]
        place = None if place is None else place + written


def _copy(source: int, begin: int, end: int, target: int) -> None:
    while begin < end and (piece := os.pread(source, min(1 << 20, end - begin), begin)):
        _write(target, None, piece)
        begin += len(piece)
