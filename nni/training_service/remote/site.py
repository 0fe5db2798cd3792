"""One machine that is reached by SSH, and the runners on it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import asyncssh

from nni.common.errors import NniError
from nni.training_service.pool import Channel, Environment, Site, UnreachableError, UnusableError
from nni.training_service.pool.archive import command, runner_directory
from nni.training_service.remote.host_keys import HostKeys
from nni.training_service.remote.login import Login

_PIECE = 256 * 1024
_PATIENCE = 20.0  # seconds for a connection, and for a login
_ALIVE = 30  # seconds between questions whether the other side is still there; the only traffic of an idle machine
_UNANSWERED = 2  # such questions after which it is not; without them a cut that drops everything is never noticed
_SESSIONS = 8  # over one connection; OpenSSH's default limit is 10

logging.getLogger("asyncssh").setLevel(logging.WARNING)


class SshChannel(Channel):
    """A program over SSH."""

    def __init__(self, connection: asyncssh.SSHClientConnection, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.connection = connection
        self._process = process

    @property
    def is_open(self) -> bool:
        """Whether it takes one of the connection's sessions."""
        return not self._process.is_closing()

    async def read(self) -> bytes:
        """Return what has come."""
        try:
            return await self._process.stdout.read(_PIECE)
        except (asyncssh.Error, OSError):
            return b""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._process.stdin.write(data)
        except OSError:  # closed already; who reads hears of it
            return

    async def drain(self) -> None:
        """Return when little is kept."""
        try:
            await self._process.stdin.drain()
        except asyncssh.Error as error:
            raise ConnectionError(str(error)) from error

    async def complaint(self) -> tuple[int | None, str]:
        """Return exit code and standard error."""
        try:
            done = await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except (asyncssh.Error, OSError, asyncio.TimeoutError) as error:
            return None, str(error)
        text = done.stderr or b""
        return done.exit_status, text.decode(errors="replace") if isinstance(text, bytes) else text

    def close(self) -> None:
        """Close the session."""
        self._process.close()

    async def wait_closed(self) -> None:
        """Return when the session is closed."""
        try:
            await asyncio.wait_for(self._process.wait_closed(), _PATIENCE)
        except (asyncssh.Error, OSError, asyncio.TimeoutError):
            self.connection.abort()


class SshEnvironment(Environment):
    """A runner on a machine."""

    def __init__(self, site: SshSite, label: str) -> None:
        self.name = site.name
        self._site = site
        self._directory = runner_directory(
            site.experiment_id, f"{site.login.host}-{site.login.port}{label and '-'}{label}"
        )

    async def connect(self) -> Channel:
        """Log in, if that is not done already, and start the program that finds the runner."""
        return await self._site.open(command(self._site.python_path, "attach", self._directory))


class SshSite(Site):
    """A machine.

    Parameters
    ----------
    login
        How to log in.
    experiment_id
        Part of the runners' directory.
    python_path
        Put in front of ``PATH`` there.
    """

    def __init__(self, login: Login, experiment_id: str, python_path: str | None = None) -> None:
        self.name = login.name
        self.login = login
        self.experiment_id = experiment_id
        self.python_path = python_path
        self._connections: list[asyncssh.SSHClientConnection] = []
        self._channels: list[SshChannel] = []
        self._turn = asyncio.Lock()

    def environment(self, label: str) -> Environment:
        """Return a runner's place by its label."""
        return SshEnvironment(self, label)

    async def open(self, line: str) -> SshChannel:
        """
        Start a program.

        Raises
        ------
        UnusableError, UnreachableError
            See there.
        """
        async with self._turn:
            connection = await self._connection()
            try:
                process: asyncssh.SSHClientProcess[bytes] = await asyncio.wait_for(
                    connection.create_process(line, encoding=None), _PATIENCE
                )
            except (asyncssh.Error, OSError, asyncio.TimeoutError) as error:
                connection.abort()
                raise UnreachableError(f"{self.name}: no program can be started there ({_text(error)})") from error
            channel = SshChannel(connection, process)
            self._channels.append(channel)
            return channel

    async def close(self) -> None:
        """Log out."""
        for connection in self._connections:
            connection.close()
        for connection in self._connections:
            try:
                await asyncio.wait_for(connection.wait_closed(), _PATIENCE)
            except (asyncssh.Error, OSError, asyncio.TimeoutError):
                connection.abort()
        self._connections.clear()

    async def _connection(self) -> asyncssh.SSHClientConnection:
        """Return a connection that has room for another session."""
        self._connections = [connection for connection in self._connections if not connection.is_closed()]
        self._channels = [channel for channel in self._channels if channel.is_open]
        for connection in self._connections:
            if sum(channel.connection is connection for channel in self._channels) < _SESSIONS:
                return connection
        connection = await self._log_in()
        self._connections.append(connection)
        return connection

    async def _log_in(self) -> asyncssh.SSHClientConnection:
        login, keys = self.login, HostKeys(self.login)
        try:
            return await asyncssh.connect(
                login.host,
                login.port,
                username=login.user,
                client_factory=lambda: keys,
                known_hosts=keys.trusted,
                connect_timeout=_PATIENCE,
                login_timeout=_PATIENCE,
                **await self._keepalive(),
                **self._credentials(),
            )
        except BaseException as error:
            await keys.give_up()
            told = self._told(error, keys)
            if told is None:
                raise
            raise told from error

    async def _keepalive(self) -> dict[str, Any]:
        """Return how to notice that the other side is gone; nothing where ``~/.ssh/config`` says it for the machine."""
        login = self.login
        own = await asyncssh.SSHClientConnectionOptions.construct(
            config=(), host=login.host, port=login.port, username=login.user, client_keys=None
        )
        if own.keepalive_interval:
            return {}
        return {"keepalive_interval": _ALIVE, "keepalive_count_max": _UNANSWERED}

    def _told(self, error: BaseException, keys: HostKeys) -> NniError | None:
        """Return why a login did not work, for a person; None for what is not its fault."""
        login = self.login
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return keys.refusal()
        if isinstance(error, asyncssh.PermissionDenied):
            return UnusableError(f"{self.name}: the login was refused: {self._why_refused()}")
        if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
            advice = "install it here: pip install bcrypt" if "bcrypt" in str(error) else "is sshPassphrase right?"
            return UnusableError(
                f"{self.name}: the key {login.key_file or 'in ~/.ssh'} cannot be used ({_text(error)}); {advice}"
            )
        if isinstance(error, (asyncssh.Error, OSError, asyncio.TimeoutError)):
            return UnreachableError(f"{self.name}: cannot be reached ({_text(error)})")
        return None

    def _credentials(self) -> dict[str, Any]:
        login = self.login
        if login.password is not None:  # and nothing else (PLT-345)
            return {
                "password": login.password,
                "client_keys": None,
                "agent_path": None,
                "preferred_auth": ["password", "keyboard-interactive"],
            }
        if login.key_file is not None:
            return {
                "client_keys": [str(login.key_file)],
                "passphrase": login.passphrase,
                "agent_path": None,
                "preferred_auth": ["publickey"],
            }
        return {"passphrase": login.passphrase} if login.passphrase else {}

    def _why_refused(self) -> str:
        login = self.login
        if login.password is not None:
            return "check user and password, and that the machine allows passwords"
        if login.key_file is not None:
            return f"check user, and that the key {login.key_file} is in authorized_keys there"
        return "none of SSH's own keys is accepted there; give sshKeyFile or password"


def _text(error: BaseException) -> str:
    return str(getattr(error, "reason", "") or getattr(error, "strerror", "") or error or type(error).__name__)
