"""Finds or starts the runner of a directory, and carries bytes between it and standard input and output."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from nni.trial_runner.protocol import MARK, PIECE
from nni.trial_runner.runner import LOG, SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 30.0  # seconds for the runner to listen
_LOOK = 0.02


def attach(root: Path) -> int:
    """Find or start the runner and carry bytes until one side ends; returns the exit code."""
    return _attach(root, _start)


def join(root: Path) -> int:
    """Do the same with a runner that somebody else starts, such as the script of a batch job."""
    return _attach(root, _wait)


def _attach(root: Path, get: Callable[[Path], socket.socket | None]) -> int:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(root)
        channel = _connect() or get(root)
    except OSError as error:
        sys.stderr.write(f"nni: {error.strerror or error}: {error.filename or root}\n")
        return 7 if error.errno in {errno.ENOSPC, errno.EDQUOT} else 4
    if channel is None:
        sys.stderr.write(f"nni: the trial runner does not start: {_last_line(root / LOG)}\n")
        return 5
    _write(1, b"\n" + MARK + b"\n")
    threading.Thread(target=_carry, args=(channel,), daemon=True).start()
    while True:
        data = channel.recv(PIECE)
        if not data or not _write(1, data):
            return 0


def _connect() -> socket.socket | None:
    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.connect(SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        channel.close()
        return None
    return channel


def _start(root: Path) -> socket.socket | None:
    with Path(LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, sys.argv[0], "serve", str(root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        channel = _connect()
        if channel is not None:
            return channel
        if process.poll() not in {None, 0}:
            return None
        time.sleep(_LOOK)
    return None


def _wait(root: Path) -> socket.socket | None:
    del root
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        channel = _connect()
        if channel is not None:
            return channel
        time.sleep(_LOOK)
    return None


def _carry(channel: socket.socket) -> None:
    """Carry what comes from the manager; the end of it is the end of this process."""
    while True:
        data = os.read(0, PIECE)
        if not data:
            os._exit(0)
        try:
            channel.sendall(data)
        except OSError:
            os._exit(0)


def _write(descriptor: int, data: bytes) -> bool:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError:
            return False
    return True


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return "it left no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")
