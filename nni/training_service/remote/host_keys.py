"""Whether a machine is the one that it was: OpenSSH's ``known_hosts``."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from pathlib import Path
from typing import Any

import asyncssh

from nni.training_service.pool import UnusableError
from nni.training_service.remote.login import Login

_logger = logging.getLogger(__name__)
_SYSTEM = Path("/etc/ssh/ssh_known_hosts")


class HostKeys(asyncssh.SSHClient):
    """Judges the host key of one machine, and remembers what was presented.

    Parameters
    ----------
    login
        The machine.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._presented: asyncssh.SSHKey | None = None
        self._is_changed = False
        self._connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Take note of the connection, which nobody else has while the login is under way."""
        self._connection = conn

    async def give_up(self) -> None:
        """Free what a login has left that did not work."""
        if self._connection is not None:
            self._connection.abort()
            with contextlib.suppress(asyncssh.Error, OSError):
                await self._connection.wait_closed()

    def trusted(self, host: str, addr: str, port: int | None) -> Any:
        """Return the keys that are known of a machine, in the form that asyncssh asks for."""
        found: list[list[Any]] = [[] for _ in range(7)]
        for path in (_user_file(), _SYSTEM):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                for known, more in zip(
                    found, asyncssh.read_known_hosts(str(path)).match(host, addr, port), strict=False
                ):
                    known.extend(more)
        self._is_changed = bool(found[0])
        return tuple(found)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Decide on a key that is not among the known ones."""
        del host, addr, port
        self._presented = key
        if self._is_changed or not self._login.accept_new_host_key:
            return False
        _note(self._login, key)
        return True

    def refusal(self) -> UnusableError:
        """Return why the machine is not trusted."""
        login, key = self._login, self._presented
        shown = f"{_kind(key)} {key.get_fingerprint()}" if key is not None else "none"
        if self._is_changed:
            return UnusableError(
                f"{login.name}: its host key is not the one in {_user_file()} any more, it may be another machine; it "
                f"presented {shown}. If that is right, remove the old one: ssh-keygen -R {_pattern(login)}"
            )
        return UnusableError(
            f"{login.name}: its host key is unknown: {shown}. If that is the right fingerprint, log in once with ssh, "
            f"or add the key to {_user_file()}, or set acceptNewHostKeys: true"
        )


def _note(login: Login, key: asyncssh.SSHKey) -> None:
    path = _user_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f"{_pattern(login, quoted=False)} {key.export_public_key('openssh').decode().strip()}\n"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        is_whole = size == 0 or os.pread(file, 1, size - 1) == b"\n"
        os.write(file, ("" if is_whole else "\n").encode() + text.encode())
    finally:
        os.close(file)
    _logger.warning("%s: its host key %s was new and is noted in %s", login.name, key.get_fingerprint(), path)


def _pattern(login: Login, *, quoted: bool = True) -> str:
    if login.port == 22:
        return login.host
    pattern = f"[{login.host}]:{login.port}"
    return f"'{pattern}'" if quoted else pattern


def _kind(key: asyncssh.SSHKey) -> str:
    return key.get_algorithm().removeprefix("ssh-")


def _user_file() -> Path:
    return Path.home() / ".ssh" / "known_hosts"
