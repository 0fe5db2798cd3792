"""Another SSH server than OpenSSH: dropbear, which has no SFTP, knows few options, and whose users have little."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nni.config import RemoteConfig, RemoteMachineConfig
from nni.store import TrialStatus
from nni.testing.environment import EnvironmentConformance
from nni.testing.training_service import Observer, form
from nni.training_service.pool import Environment, PoolSettings

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]
DROPBEAR = shutil.which("dropbear", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
# NNI is not installed in that machine's Python: the trial writes what nni.report_… would.
TRIAL = """
import json, os, time
def report(kind, sequence, value):
    line = {"type": kind, "sequence": sequence, "timestamp": int(1000 * time.time()), "value": value}
    with open(os.environ["NNI_SYS_DIR"] + "/.nni/metrics", "a") as file:
        file.write(json.dumps(line) + "\\n")
for step in range(3):
    report("PERIODICAL", step, step)
print("in", os.path.expanduser("~"))
open(os.environ["NNI_OUTPUT_DIR"] + "/model", "w").write("weights")
report("FINAL", 0, 1.5)
"""


class Dropbear:
    """A dropbear on the loopback interface, and a user that can log in there."""

    def __init__(self, directory: Path, port: int, user: str, make_key: Callable[[str, str], Path]) -> None:
        self.port = port
        self.user = user
        self.home = directory / "dropbear-home"
        self.key = make_key("id", "")
        self.python_path = next(
            (folder for folder in ("/usr/bin", "/usr/local/bin") if Path(folder, "python3").exists()), None
        )
        folder = self.home / ".ssh"
        folder.mkdir(parents=True, mode=0o700)
        shutil.copy(self.key.with_suffix(".pub"), folder / "authorized_keys")
        for path in (self.home, folder, folder / "authorized_keys"):
            shutil.chown(path, user, user)
            path.chmod(0o600 if path.is_file() else 0o700)
        host_key = directory / "dropbear-key"
        made = subprocess.run(
            ["dropbearkey", "-t", "ed25519", "-f", str(host_key)], check=True, capture_output=True, text=True
        )
        self.public_key = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519"))
        assert DROPBEAR is not None
        words = [
            DROPBEAR,
            "-F",
            "-E",
            "-s",
            "-p",
            f"127.0.0.1:{port}",
            "-r",
            str(host_key),
            "-P",
            str(host_key.with_suffix(".pid")),
        ]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def trust(self) -> None:
        known = Path.home() / ".ssh" / "known_hosts"
        known.parent.mkdir(mode=0o700, exist_ok=True)
        kind, text, *_ = self.public_key.split()
        known.write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")

    def machine(self) -> RemoteMachineConfig:
        login: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "user": self.user}
        return RemoteMachineConfig(**login, ssh_key_file=self.key, python_path=self.python_path)

    def stop(self) -> None:
        """End it, and what its user's sessions left."""
        self.process.terminate()
        self.process.wait()
        deadline = time.monotonic() + 60
        while found := [process for process in psutil.process_iter(["username"]) if self._owns(process)]:
            assert time.monotonic() < deadline
            for process in found:
                process.kill()
            psutil.wait_procs(found, timeout=5)

    def _owns(self, process: psutil.Process) -> bool:
        return bool(process.info["username"] == self.user)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def dropbear(
    tmp_path: Path, isolated_home: Path, free_port: int, make_key: Callable[[str, str], Path]
) -> Iterator[Dropbear]:
    if DROPBEAR is None or os.getuid() != 0:
        pytest.skip("needs dropbear (Debian: dropbear-bin), and root, who makes a user for it")
    name = f"nnibear{os.getpid()}"
    home = tmp_path / "dropbear-home"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", str(home), "-s", "/bin/sh", name], check=True)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder not in {Path("/"), Path("/tmp")}:
            folder.chmod(folder.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    server = None
    try:
        server = Dropbear(tmp_path, free_port, name, make_key)
        if server.python_path is None:
            pytest.skip("there is no Python that every user may run")
        server.trust()
        yield server
    finally:
        if server is not None:
            server.stop()
        subprocess.run(["userdel", name], check=True, capture_output=True)


class TestDropbearEnvironment(EnvironmentConformance):
    @pytest.fixture(autouse=True)
    def _server(self, dropbear: Dropbear) -> None:
        self.server = dropbear
        self.sites: list[Any] = []

    def make(self, directory: Path) -> Environment:
        from nni.training_service.remote import Login
        from nni.training_service.remote.site import SshSite

        login = Login("127.0.0.1", self.server.port, self.server.user, key_file=self.server.key)
        self.sites.append(SshSite(login, "CONFORM1", self.server.python_path))
        return self.sites[-1].environment("")

    async def let_go(self) -> None:
        for site in self.sites:
            await site.close()


async def test_trials_over_dropbear_and_without_sftp(tmp_path: Path, dropbear: Dropbear):
    from nni.training_service.remote import remote_service

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "trial.py").write_text(TRIAL)
    directory = tmp_path / "experiment"
    (directory / "trials").mkdir(parents=True)
    settings = PoolSettings("ABCDEFGH", directory, "python3 trial.py", tmp_path / "code", "remote", grace=1.0)
    pool = remote_service(settings, RemoteConfig(machine_list=[dropbear.machine()]))
    await pool.prepare()
    seen = Observer(pool)
    names = ["t0", "t1", "t2"]
    for number, name in enumerate(names):
        await pool.submit_trial_job(form(name, "x", number))
    await seen.until(lambda: all(map(seen.ended, names)), "the trials")
    await seen.close()
    for name in names:
        assert seen.history[name][-1] is TrialStatus.SUCCEEDED
        assert seen.values(name, "PERIODICAL") == [0, 1, 2]
        assert seen.values(name, "FINAL") == [1.5]
        assert (directory / "trials" / name / "trial.log").read_text() == f"in {dropbear.home}\n"
        assert (directory / "trials" / name / "nnioutput" / "model").read_text() == "weights"
    assert not (dropbear.home / ".nni-remote").exists()
