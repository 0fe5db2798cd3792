"""The metric spool: an append-only file that is the truth about what a trial reported.

A record is one line, written by a single system call, so that a reader never sees half of one as whole, a killed trial
loses nothing it reported, and several processes of one trial may report at once. The doorbell only wakes the manager;
losing a ring loses no metric.
"""

from __future__ import annotations

import errno
import os
import sys
import time

MAX_RECORD_BYTES = 1_000_000  # PLT-164
_DISK_FULL_PATIENCE = 60.0  # seconds a report waits for space before it gives up


class Spool:
    """Appends records to one trial's metric file and rings the manager's doorbell.

    Parameters
    ----------
    path
        The metric file, ``<trial directory>/.nni/metrics``; created when missing.
    doorbell
        Path of the manager's FIFO, or None.
    ring
        What to write into it: the trial id.
    """

    def __init__(self, path: str, doorbell: str | None, ring: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._torn = False
        self._doorbell = doorbell
        self._doorbell_file = -1
        self._ring = ring.encode() + b"\n"

    def append(self, record: str) -> None:
        """Write one record (JSON text without newlines) and ring.

        Raises
        ------
        ValueError
            The record is larger than 1 000 000 bytes.
        OSError
            It could not be written, for want of space after a minute's wait or at once for another reason.
        """
        line = record.encode() + b"\n"
        if len(line) > MAX_RECORD_BYTES:
            raise ValueError(
                f"the metric is {len(line):,} bytes as JSON, the limit is {MAX_RECORD_BYTES:,}: "
                "report a summary and save large data under NNI_OUTPUT_DIR"
            )
        if self._torn:  # what an earlier failure left behind must not swallow this record
            line = b"\n" + line
        self._write(line)
        self._torn = False
        self._wake_manager()

    def _write(self, line: bytes) -> None:
        deadline = 0.0
        while True:
            try:
                line = line[os.write(self._file, line) :]
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                deadline = deadline or _announce_full_disk(self._path) + _DISK_FULL_PATIENCE
                if time.monotonic() > deadline:
                    message = "no space left to record a metric; free some space and run the trial again"
                    raise OSError(error.errno, message, self._path) from None
                time.sleep(0.5)
            if not line:
                return
            self._torn = True  # a short write: the rest follows, or the next record starts on a new line

    def _wake_manager(self) -> None:
        if self._doorbell is None:
            return
        try:
            if self._doorbell_file < 0:
                # Read and write: then the trial never gets SIGPIPE from a manager that died.
                self._doorbell_file = os.open(self._doorbell, os.O_RDWR | os.O_NONBLOCK)
            os.write(self._doorbell_file, self._ring)
        except OSError:  # no manager, or it is busy and its pipe full: it will read the file anyway
            pass


def _announce_full_disk(path: str) -> float:
    sys.stderr.write(f"nni: no space left on device for {path}; waiting up to {_DISK_FULL_PATIENCE:.0f} s\n")
    return time.monotonic()
