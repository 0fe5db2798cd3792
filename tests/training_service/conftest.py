"""A real SSH server on the loopback interface, with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class SshServer:
    """One sshd; the processes behind it believe that `home` is their home."""

    def __init__(self, directory: Path, port: int, key: Path, options: dict[str, str]) -> None:
        self.directory = directory
        self.port = port
        self.key = key
        self.user = getpass.getuser()
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.host_key = _make_key(directory / "host_key")
        self.python_path = str(Path(sys.executable).parent)
        shutil.copy(key.with_suffix(".pub"), directory / "authorized_keys")
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": str(port),
            "HostKey": str(self.host_key),
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "AuthorizedKeysFile": str(directory / "authorized_keys"),
            "PasswordAuthentication": "no",
            "PermitRootLogin": "yes",
            "SetEnv": f"HOME={self.home}",
            "MaxStartups": "100",
            **options,
        }
        (directory / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert SSHD is not None
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        log = self.directory / "sshd.log"
        self._process = subprocess.Popen(
            [SSHD, "-D", "-f", str(self.directory / "sshd_config"), "-E", str(log)], start_new_session=True
        )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def cut(self) -> None:
        """Cut all connections, and take no new ones until `start`; what the sessions started runs on."""
        if self._process is None:
            return
        found = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for process in found:
            try:
                if process.name() == "sshd":
                    process.kill()
            except psutil.NoSuchProcess:
                pass
        self._process = None

    def stop(self) -> None:
        """Cut, and end what was left there."""
        self.cut()
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return what runs with this server's home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == str(self.home):
                    found.append(process)
            except psutil.Error:
                pass
        return found

    def trust(self) -> None:
        """Put the server's key into this user's known_hosts."""
        known = Path.home() / ".ssh" / "known_hosts"
        known.parent.mkdir(mode=0o700, exist_ok=True)
        kind, text, *_ = self.host_key.with_suffix(".pub").read_text().split()
        with known.open("a") as file:
            file.write(f"[127.0.0.1]:{self.port} {kind} {text}\n")


def _make_key(path: Path, passphrase: str = "") -> Path:
    # A locked key in a format that can be read without the module bcrypt.
    kind = ["-t", "ecdsa", "-m", "PKCS8"] if passphrase else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", passphrase, "-f", str(path)], check=True)
    return path


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[[str, str], Path]:
    return lambda name, passphrase: _make_key(tmp_path / name, passphrase)


@pytest.fixture
def ssh_servers(
    tmp_path: Path, isolated_home: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[Callable[..., SshServer]]:
    """Return a function that starts an SSH server; options go into its sshd_config."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian: apt-get install openssh-server)")
    servers: list[SshServer] = []
    key = _make_key(tmp_path / "id")

    def start(**options: str) -> SshServer:
        (port,) = free_ports(1)
        server = SshServer(tmp_path / f"sshd-{len(servers)}", port, key, options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


AZURITE = Path(__file__).parents[2] / "build" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
# Every emulator of Azure has this account; it is public.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azurite:
    """A blob service on the loopback interface."""

    account, key = AZURITE_ACCOUNT, AZURITE_KEY

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"

    def container(self, name: str) -> Any:
        """Make a container, and return the vendor's client for it."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(self.endpoint, credential=self.key).create_container(name)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Run Azurite, the emulator of Azure Blob storage."""
    if not AZURITE.exists():
        pytest.skip("Azurite is not installed (.ci/install-azurite, needs npm)")
    pytest.importorskip("azure.storage.blob", reason="azure-storage-blob is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = tmp_path_factory.mktemp("azurite")
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(place), *options],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, (place / "log").read_text()
        assert time.monotonic() < deadline, (place / "log").read_text()
        time.sleep(0.05)
    yield Azurite(port)
    process.kill()
    process.wait()
