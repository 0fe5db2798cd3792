"""The metric spool: an append-only file that is the truth about what a trial reported.

A record is one line, written by a single system call, so that a reader never sees half of one as whole, a killed trial
loses nothing it reported, and several processes of one trial may report at once. The doorbell only wakes the manager;
losing a ring loses no metric.
"""

import os
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
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
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
        self._lock(os.F_LOCK)
        try:
            self._write(line if self._ends_whole() else b"\n" + line)
        finally:
            self._lock(os.F_ULOCK)
        self._wake_manager()

    def _lock(self, command: int) -> None:
        """Keep other processes out: on a full disk a record is written in pieces, which must stay together."""
        try:
            os.lseek(self._file, 0, os.SEEK_SET)  # locks count from here
            os.lockf(self._file, command, 0)
        except OSError:  # a file system without locks: then one that also gets full may spoil a record
            pass

    def _ends_whole(self) -> bool:
        """Whether nobody was killed, or gave up, in the middle of a record."""
        size = os.lseek(self._file, 0, os.SEEK_END)
        return size == 0 or os.pread(self._file, 1, size - 1) == b"\n"

    def _write(self, line: bytes) -> None:
        deadline = 0.0
        while line:
            try:
                line = line[os.write(self._file, line) :]
            except OSError as error:
                import errno  # noqa: PLC0415  (most trials never come here)

                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                deadline = deadline or _announce_full_disk(self._path) + _DISK_FULL_PATIENCE
                if time.monotonic() > deadline:
                    message = "no space left to record a metric; free some space and run the trial again"
                    raise OSError(error.errno, message, self._path) from None
                time.sleep(0.5)

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
    message = f"nni: no space left on device for {path}; waiting up to {_DISK_FULL_PATIENCE:.0f} s\n"
    try:  # noqa: SIM105  (contextlib would cost every trial an import)
        os.write(2, message.encode())  # not sys.stderr, whose buffer would keep what cannot be written
    except OSError:  # it is most likely on the same disk
        pass
    return time.monotonic()
