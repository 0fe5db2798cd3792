"""Real SSH servers and a real Slurm cluster on the loopback interface, with keys of their own."""

from __future__ import annotations

import contextlib
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

SLURM_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun")
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={directory}/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=defer_batch,batch_sched_delay=0,sched_interval=1,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=closed Nodes=ALL AllowAccounts=lab State=UP
"""
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class SshServer:
    """One sshd; the processes behind it believe that `home` is their home."""

    def __init__(
        self, directory: Path, port: int, key: Path, options: dict[str, str], address: str, launcher: list[str]
    ) -> None:
        self.directory = directory
        self.address = address
        self.port = port
        self._launcher = launcher
        self.key = key
        self.user = getpass.getuser()
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.host_key = _make_key(directory / "host_key")
        self.python_path = str(Path(sys.executable).parent)
        shutil.copy(key.with_suffix(".pub"), directory / "authorized_keys")
        settings = {
            "ListenAddress": address,
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
            [*self._launcher, SSHD, "-D", "-f", str(self.directory / "sshd_config"), "-E", str(log)],
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
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
            file.write(f"[{self.address}]:{self.port} {kind} {text}\n")


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
    """Return a function that starts an SSH server; options go into its sshd_config.

    `address` is where it listens, `launcher` is put before its command line.
    """
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian: apt-get install openssh-server)")
    servers: list[SshServer] = []
    key = _make_key(tmp_path / "id")

    def start(address: str = "127.0.0.1", launcher: list[str] | None = None, **options: str) -> SshServer:
        (port,) = free_ports(1)
        server = SshServer(tmp_path / f"sshd-{len(servers)}", port, key, options, address, launcher or [])
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a cluster of one node with four processors; its programs are told where it is."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in SLURM_PROGRAMS if shutil.which(name, path=path) is None]
    if missing or os.getuid() != 0:
        what = (
            f"{missing[0]} is not installed (Debian: slurm-wlm, munge)" if missing else "only root starts its daemons"
        )
        pytest.skip(f"Slurm: {what}")
    directory = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (directory / name).mkdir()
    key = directory / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in (one, other)]
    conf = directory / "slurm.conf"
    conf.write_text(SLURM_CONF.format(host=socket.gethostname().partition(".")[0], directory=directory, ports=ports))
    ends = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{name}={directory}/munge.{end}" for name, end in ends.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        patch.setenv("PATH", path)
        try:
            subprocess.run(["munged", "--force", *munge], check=True, capture_output=True)
            subprocess.run(["slurmctld", "-c", "-f", str(conf)], check=True, capture_output=True)
            subprocess.run(["slurmd", "-f", str(conf)], check=True, capture_output=True)
            deadline = time.monotonic() + 30
            while (
                subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, check=False).stdout.strip() != b"idle"
            ):
                assert time.monotonic() < deadline, (directory / "slurmctld.log").read_text()
                time.sleep(0.1)
            yield directory
        finally:
            for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
                if (directory / name).exists():
                    os.kill(int((directory / name).read_text()), 15)


class Network:
    """A network of its own for a machine, joined to this one by a cable that can be pulled."""

    address, here = "198.18.77.2", "198.18.77.1"

    def __init__(self, name: str) -> None:
        self.name = name
        self.launcher = ["ip", "netns", "exec", name]
        ip("netns", "add", name)
        ip("link", "add", f"{name}-a", "type", "veth", "peer", "name", f"{name}-b")
        ip("link", "set", f"{name}-b", "netns", name)
        ip("addr", "add", f"{self.here}/30", "dev", f"{name}-a")
        ip("link", "set", f"{name}-a", "up")
        ip("-n", name, "addr", "add", f"{self.address}/30", "dev", f"{name}-b")
        ip("-n", name, "link", "set", f"{name}-b", "up")

    def pull(self) -> None:
        """From now on packets vanish; nobody is told."""
        ip("-n", self.name, "link", "set", f"{self.name}-b", "down")

    def plug(self) -> None:
        """Let packets through again."""
        ip("-n", self.name, "link", "set", f"{self.name}-b", "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    """Return a network whose cable can be pulled."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root makes network namespaces, with ip (Debian: iproute2)")
    name = f"nni{os.getpid() % 100_000}"
    try:
        made = Network(name)
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        yield made
    finally:
        ip("netns", "del", name)


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


@pytest.fixture
def machines_end(tmp_path: Path) -> Iterator[None]:
    """End what a test left on machines that it played with directories: of a machine that was cut off nobody does."""
    yield
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.environ().get("HOME", "/")).is_relative_to(tmp_path):
                process.kill()
