"""The actor that holds Ray's resources for a trial runner, and carries bytes to it.

Ray sends this class by value, and the nodes need no NNI for it: standard library only. Its methods run in threads, so a
method that waits keeps no other from being called.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

_PIPE = 1024 * 1024  # bytes between the runner and a read
_LOOK = 10.0  # seconds between looks whether anybody needs this actor
_UNREAD = 120.0  # seconds without a read after which the manager of a channel is taken for dead
_UNUSED = 300.0  # seconds without a runner and without a call after which the actor ends
_PATIENCE = 20.0  # seconds for the program of a channel to end


class RunnerActor:
    """Holds what Ray gave for one runner.

    The runner is a process that sees the end of its standard input when this one ends, in whatever way: Ray has taken
    the resources back then, and the runner ends its trials.

    Parameters
    ----------
    archive
        The trial runner.
    root
        Its directory, relative to the user's home.
    """

    def __init__(self, archive: bytes, root: str) -> None:
        self._program = _install(archive)
        self._root = Path.home() / root
        self._channels: dict[str, subprocess.Popen[bytes]] = {}
        self._read_at: dict[str, float] = {}
        self._leashes: list[socket.socket] = []
        self._called_at = time.monotonic()
        self._turn = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def hello(self) -> str:
        """Return where this is."""
        self._called_at = time.monotonic()
        return socket.gethostname()

    def open(self, channel: str) -> None:
        """Start the program that finds the runner, and the runner if there is none; earlier channels end."""
        with self._turn:
            for earlier in list(self._channels.values()):
                earlier.terminate()
            if not self._is_held():
                self._start()
            self._read_at[channel] = self._called_at = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, self._program, "join", str(self._root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            assert process.stdout is not None
            _enlarge(process.stdout.fileno())
            self._channels[channel] = process

    def read(self, channel: str, patience: float) -> bytes | None:
        """Return what has come, nothing if that takes longer than `patience` seconds; None at the end."""
        self._read_at[channel] = self._called_at = time.monotonic()
        process = self._channels.get(channel)
        if process is None or process.stdout is None:
            return None
        try:
            return _read(process.stdout.fileno(), patience)
        except (OSError, ValueError):  # closed meanwhile
            return None

    def write(self, channel: str, data: bytes) -> bool:
        """Hand bytes to the runner; returns whether they could be."""
        process = self._channels.get(channel)
        if process is None or process.stdin is None:
            return False
        try:
            process.stdin.write(data)
            process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def end(self, channel: str) -> tuple[int | None, str]:
        """Return exit code and standard error of a channel's program, which has ended."""
        process = self._channels.pop(channel, None)
        self._read_at.pop(channel, None)
        if process is None:
            return None, ""
        try:
            _, text = process.communicate(timeout=_PATIENCE)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            process.kill()
            return process.wait(), ""
        return process.returncode, text.decode(errors="replace")

    def close(self, channel: str) -> None:
        """End a channel, not the runner."""
        process = self._channels.get(channel)
        if process is not None and process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:  # it has ended
                return

    def remove(self, patience: float) -> None:
        """Have the runner end, if it has not, and leave nothing of it."""
        with self._turn:
            for leash in self._leashes:
                leash.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + patience
            while self._is_held() and time.monotonic() < deadline:
                time.sleep(0.05)
            shutil.rmtree(self._root, ignore_errors=True)
            for parent in (self._root.parent, self._root.parent.parent):
                with contextlib.suppress(OSError):  # others of the same experiment may be here
                    parent.rmdir()

    def _start(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        python = os.path.dirname(sys.executable)  # noqa: PTH120  (it is text)
        environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        leash, end = socket.socketpair()
        with end, (self._root / "runner.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, self._program, "hold", str(self._root)],
                stdin=end.fileno(),
                stdout=log,
                stderr=log,
                env=environment,
            )
        self._leashes.append(leash)
        process.wait()

    def _is_held(self) -> bool:
        """Return whether there is a runner: whether somebody has the other end of a leash."""
        for leash in list(self._leashes):
            try:
                leash.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                pass
            leash.close()
            self._leashes.remove(leash)
        return False

    def _watch(self) -> None:
        """Let go of what nobody needs: no resources are held for a manager that never returns."""
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            for channel, at in list(self._read_at.items()):
                if now - at > _UNREAD:
                    if channel in self._channels:
                        self._channels[channel].terminate()
                    self.end(channel)
            with self._turn:
                if now - self._called_at > _UNUSED and not self._channels and not self._is_held():
                    os._exit(0)


def _install(archive: bytes) -> str:
    """Return the path of the runner, which is written if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nni" / "runner"
    path = cache / f"{hashlib.sha256(archive).hexdigest()}.pyz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(archive)
        new.replace(path)
    return str(path)


def _read(descriptor: int, patience: float) -> bytes | None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(1000 * patience):
        return b""
    pieces = [os.read(descriptor, _PIPE)]
    while pieces[-1] and sum(map(len, pieces)) < _PIPE and poll.poll(0):
        pieces.append(os.read(descriptor, _PIPE))
    return b"".join(pieces) or None


def _enlarge(descriptor: int) -> None:
    try:
        fcntl.fcntl(descriptor, getattr(fcntl, "F_SETPIPE_SZ", 1031), _PIPE)
    except OSError:  # another system, or too many pipes
        return


def clean(archive: bytes, directory: str) -> str:
    """Remove what no living runner owns on this node, and tell about it in a JSON line."""
    command = [sys.executable, _install(archive), "clean", directory]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE).stdout
