"""The lock that makes a manager the only one of its experiment, and that tells others whether it lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from nni.common.errors import NniError

_PATIENCE = 1.0  # seconds: somebody who only looks whether the lock is held holds it for an instant


def hold(directory: Path) -> int:
    """Take the lock of an experiment directory for the life of this process; returns the descriptor to keep.

    Raises
    ------
    NniError
        Another manager runs this experiment.
    """
    path = directory / ".lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise NniError(
                    f"{directory}: another manager runs this experiment already; see: nnictl experiment list"
                ) from None
            time.sleep(0.05)
        else:
            return descriptor
