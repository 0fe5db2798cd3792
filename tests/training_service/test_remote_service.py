"""Trials behind a real SSH server: the contract, the ways to log in, and what is said when something is wrong."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nni.common.errors import NniError
from nni.config import RemoteConfig, RemoteMachineConfig
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.pool import PoolSettings, PoolTrainingService

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]
EXPERIMENT = "ABCDEFGH"
BARE_PYTHON = Path(sys.executable).resolve()  # outside of the environment that has NNI
TRIAL = """
import os, time, nni
x = nni.get_next_parameter()["x"]
directory = os.environ["NNI_OUTPUT_DIR"]
for step in range(2):
    nni.report_intermediate_result(step)
print("before", flush=True)
while x == "wait" and not os.path.exists(os.path.join(directory, "go")):
    time.sleep(0.02)
nni.report_intermediate_result(2)
print("after", flush=True)
os.makedirs(os.path.join(directory, "deep"))
open(os.path.join(directory, "deep", "model.bin"), "wb").write(bytes(range(256)) * 3000)
nni.report_final_result(1.5)
"""


def machine(server: Any, **settings: Any) -> RemoteMachineConfig:
    settings.setdefault("python_path", server.python_path)
    if "password" not in settings:
        settings.setdefault("ssh_key_file", server.key)
    return RemoteMachineConfig(**{"host": server.address, "port": server.port, "user": server.user, **settings})


def service(
    directory: Path, machines: list[RemoteMachineConfig], command: str = "python3 trial.py", **settings: Any
) -> PoolTrainingService:
    from nni.training_service.remote import remote_service

    code = directory / "code"
    if not code.exists():
        code.mkdir()
        (code / "trial.py").write_text(TRIAL)
    (directory / "experiment" / "trials").mkdir(parents=True, exist_ok=True)
    config = RemoteConfig(machine_list=machines, **settings)
    return remote_service(
        PoolSettings(EXPERIMENT, directory / "experiment", command, code, "remote", grace=1.0), config
    )


def root(server: Any, label: str = "") -> Path:
    return server.home / ".nni-remote" / EXPERIMENT / f"127.0.0.1-{server.port}{label}"


class RemoteConformance(TrainingServiceConformance):
    is_reused = True

    @pytest.fixture(autouse=True)
    def _server(self, ssh_servers: Callable[..., Any]) -> None:
        self.server = ssh_servers()
        self.server.trust()

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        from nni.training_service.remote import remote_service

        settings = PoolSettings(EXPERIMENT, directory, command, code_directory, "remote", grace=1.0)
        return remote_service(settings, RemoteConfig(machine_list=[machine(self.server)], reuse_mode=self.is_reused))

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        return root(self.server, "" if self.is_reused else f"-{trial_id}") / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


class TestRemoteWithReuse(RemoteConformance):
    pass


class TestRemoteWithoutReuse(RemoteConformance):
    is_reused = False


async def problem_of(service: PoolTrainingService) -> str:
    """Return what the start of an experiment says of machines that cannot be used."""
    with pytest.raises(NniError) as caught:
        await service.prepare()
    text = str(caught.value)
    assert "\n" not in text
    return text


def fingerprint(key: Path) -> str:
    return subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout.split()[1]


def nothing_runs_on(server: Any) -> bool:
    """Return whether all of a server's processes have ended, the last ones within a moment."""
    psutil.wait_procs(server.processes(), timeout=20)
    return server.processes() == []


async def succeeds(service: PoolTrainingService, count: int = 1) -> Observer:
    await service.prepare()
    seen = Observer(service)
    for number in range(count):
        await service.submit_trial_job(form(f"t{number}", "x", number))
    await seen.until(lambda: all(seen.ended(f"t{number}") for number in range(count)), "the trials")
    assert {seen.history[f"t{number}"][-1] for number in range(count)} == {TrialStatus.SUCCEEDED}
    return seen


async def test_a_trial_leaves_its_logs_and_files_here_and_nothing_there(
    tmp_path: Path, ssh_servers: Callable[..., Any]
):
    server = ssh_servers()
    server.trust()
    seen = await succeeds(service(tmp_path, [machine(server)]))
    await seen.close()
    directory = tmp_path / "experiment" / "trials" / "t0"
    assert (directory / "trial.log").read_text() == "before\nafter\n"
    assert (directory / "stderr").read_text() == ""
    assert (directory / "nnioutput" / "deep" / "model.bin").read_bytes() == bytes(range(256)) * 3000
    assert not (server.home / ".nni-remote").exists()
    assert nothing_runs_on(server)


async def test_trials_are_spread_over_the_machines(tmp_path: Path, ssh_servers: Callable[..., Any]):
    servers = [ssh_servers(), ssh_servers()]
    for server in servers:
        server.trust()
    seen = await succeeds(service(tmp_path, [machine(server) for server in servers]), 4)
    places = [seen.details[f"t{number}"].tags[0] for number in range(4)]
    assert sorted(places) == sorted([f"{server.user}@127.0.0.1:{server.port}" for server in servers] * 2)
    await seen.close()


async def test_an_unreachable_machine_does_not_keep_the_others_from_working(
    tmp_path: Path, ssh_servers: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    server, dead = ssh_servers(), ssh_servers()
    server.trust()
    dead.stop()
    seen = await succeeds(service(tmp_path, [machine(dead), machine(server)]), 2)
    assert f"127.0.0.1:{dead.port}: cannot be reached" in caplog.text
    (problem,) = seen.service.problems()  # for the page, and nnictl
    assert problem.startswith(f"{dead.user}@127.0.0.1:{dead.port}: cannot be reached (")
    dead.start()
    dead.trust()
    await seen.until(lambda: seen.service.problems() == [], "the return of the machine")
    await seen.close()


async def test_an_unknown_host_key_is_refused_with_its_fingerprint(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    text = await problem_of(service(tmp_path, [machine(server)]))
    assert fingerprint(server.host_key) in text
    assert "acceptNewHostKeys" in text


async def test_a_new_host_key_is_noted_if_that_is_wanted_and_a_changed_one_refused(
    tmp_path: Path, ssh_servers: Callable[..., Any], make_key: Callable[[str, str], Path]
):
    server = ssh_servers()
    seen = await succeeds(service(tmp_path, [machine(server)], accept_new_host_keys=True))
    await seen.close()
    known = Path.home() / ".ssh" / "known_hosts"
    assert f"[127.0.0.1]:{server.port} ssh-ed25519" in known.read_text()
    other = make_key("other", "").with_suffix(".pub").read_text()
    known.write_text(f"[127.0.0.1]:{server.port} {other}")
    text = await problem_of(service(tmp_path, [machine(server)], accept_new_host_keys=True))
    assert "not the one in" in text
    assert "ssh-keygen -R" in text


async def test_a_key_with_a_passphrase(
    tmp_path: Path, ssh_servers: Callable[..., Any], make_key: Callable[[str, str], Path]
):
    server = ssh_servers()
    server.trust()
    key = make_key("locked", "open sesame")
    with (server.directory / "authorized_keys").open("a") as file:
        file.write(key.with_suffix(".pub").read_text())
    seen = await succeeds(service(tmp_path, [machine(server, ssh_key_file=key, ssh_passphrase="open sesame")]))
    await seen.close()
    wrong = await problem_of(service(tmp_path, [machine(server, ssh_key_file=key, ssh_passphrase="secret word")]))
    assert str(key) in wrong
    assert "secret word" not in wrong


async def test_a_key_that_is_not_accepted_is_named(
    tmp_path: Path, ssh_servers: Callable[..., Any], make_key: Callable[[str, str], Path]
):
    server = ssh_servers()
    server.trust()
    key = make_key("stranger", "")
    assert str(key) in await problem_of(service(tmp_path, [machine(server, ssh_key_file=key)]))


@pytest.fixture
def password_user(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return a throw-away user of this machine, and its password."""
    if os.getuid() != 0:
        pytest.skip("only root can make a user whose password is known")
    name, password = f"nnitest{os.getpid()}", "a pass'word $1"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent", "-s", "/bin/sh", name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True)
        yield name, password
    finally:
        _wait_until_unused(pwd.getpwnam(name).pw_uid)
        subprocess.run(["userdel", name], check=True, capture_output=True)


def _wait_until_unused(user: int) -> None:
    """Return when no process of a user is left: sessions of an SSH server that was ended take a moment longer."""
    deadline = time.monotonic() + 60
    while any(process.info["uids"] and process.info["uids"].real == user for process in psutil.process_iter(["uids"])):
        assert time.monotonic() < deadline, "a process of the test's user does not end"
        time.sleep(0.05)


def open_to_all(path: Path) -> None:
    """Let another user through to a directory of the tests."""
    for directory in path.parents:
        if directory.stat().st_uid == os.getuid() and directory not in {Path("/"), Path("/tmp")}:
            directory.chmod(directory.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)


async def test_a_password_and_a_wrong_one(
    tmp_path: Path, password_user: tuple[str, str], ssh_servers: Callable[..., Any]
):
    user, password = password_user
    server = ssh_servers(PasswordAuthentication="yes")
    server.trust()
    open_to_all(server.home)
    shutil.chown(server.home, user, user)
    wrong = await problem_of(service(tmp_path, [machine(server, user=user, password="wrong one")]))
    assert "the login was refused: check user and password" in wrong
    assert "wrong one" not in wrong
    settings = {"user": user, "password": password, "python_path": None}  # not everybody may enter this project's
    seen = await succeeds(service(tmp_path, [machine(server, **settings)], "echo hello"))
    everything = " ".join(
        " ".join(process.cmdline() + list(process.environ().values())) for process in server.processes()
    )
    assert everything
    assert password not in everything
    await seen.close()


OLD = 'import sys; sys.version_info = (3, 7); sys.version = "3.7.9"; exec(sys.argv.pop(1))'


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (None, "there is no python3 on its PATH"),
        (f'exec python -c \'{OLD}\' "$2" "$3" "$4"', "Python 3.7.9 is too old"),
    ],
)
async def test_a_machine_without_a_python_that_will_do(
    tmp_path: Path, ssh_servers: Callable[..., Any], script: str | None, expected: str
):
    server = ssh_servers(SetEnv=f"HOME={tmp_path / 'sshd-0' / 'home'} PATH=/nonexistent")
    server.trust()
    programs = tmp_path / "bin"
    programs.mkdir()
    if script is not None:
        (programs / "python3").write_text(f"#!/bin/sh\nPATH={server.python_path}:/usr/bin:/bin\n{script}\n")
        (programs / "python3").chmod(0o755)
    text = await problem_of(service(tmp_path, [machine(server, python_path=str(programs))]))
    assert f"{server.user}@127.0.0.1:{server.port}: {expected}" in text
    assert "pythonPath" in text


async def test_a_machine_whose_home_cannot_be_written(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers(SetEnv="HOME=/proc/nobody")
    server.trust()
    text = await problem_of(service(tmp_path, [machine(server)]))
    assert f"127.0.0.1:{server.port}: the home directory there cannot be written: " in text
    assert "/proc/nobody" in text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path, str], None]]:
    """Return a function that puts a file system of a size over a folder."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.getuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode != 0:
            pytest.skip("no file system can be mounted here")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (0, "the disk of the home directory there is full: "),
        (200, "the code directory cannot be stored: No space left on device"),
    ],
)
async def test_a_full_disk_there_is_named_and_when_there_is_room_it_goes_on(
    tmp_path: Path, ssh_servers: Callable[..., Any], small_disk: Callable[[Path, str], None], kept: int, expected: str
):
    server = ssh_servers()
    server.trust()
    small_disk(server.home, "4m")
    (server.home / "data").write_bytes(bytes((4096 - kept) * 1024))
    pool = service(tmp_path, [machine(server)])
    (tmp_path / "code" / "data.bin").write_bytes(os.urandom(500_000))
    pool = service(tmp_path, [machine(server)])
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: any(expected in problem for problem in pool.problems()), "what is wrong")
    (problem,) = pool.problems()
    assert problem.startswith(f"{server.user}@127.0.0.1:{server.port}: {expected}")
    assert "\n" not in problem
    await seen.until(lambda: expected in seen.details["t0"].message, "the trial's reason")
    (server.home / "data").unlink()
    await seen.until(lambda: seen.ended("t0"), "the trial")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    await seen.close()


@pytest.mark.parametrize("version", ["1.9.5", None])
async def test_another_version_of_nni_there_is_a_warning_that_names_the_machine(
    tmp_path: Path, ssh_servers: Callable[..., Any], version: str | None
):
    server = ssh_servers(SetEnv=f"HOME={tmp_path / 'sshd-0' / 'home'}")
    server.trust()
    programs, packages = tmp_path / "bin", tmp_path / "packages"
    programs.mkdir()
    if version is not None:
        (packages / f"nni-{version}.dist-info").mkdir(parents=True)
        (packages / f"nni-{version}.dist-info" / "METADATA").write_text(f"Name: nni\nVersion: {version}\n")
    (programs / "python3").write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {BARE_PYTHON} "$@"\n')
    (programs / "python3").chmod(0o755)
    seen = await succeeds(service(tmp_path, [machine(server, python_path=str(programs))], "echo hello"))
    (problem,) = seen.service.problems()
    assert problem.startswith(f"{server.user}@127.0.0.1:{server.port}: NNI ")
    assert ("is 1.9.5, here " if version else "is not installed in the Python ") in problem
    await seen.close()


async def test_a_runner_of_another_version_is_refused_with_what_to_do(
    tmp_path: Path, ssh_servers: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    server = ssh_servers()
    server.trust()
    first = await succeeds(service(tmp_path, [machine(server)]))
    await first.abandon()
    await first.service.close()  # type: ignore[attr-defined]
    monkeypatch.setattr("nni.training_service.pool.link.p.VERSION", 99)
    text = await problem_of(service(tmp_path, [machine(server)]))
    assert text.startswith(f"{server.user}@127.0.0.1:{server.port}: the trial runner there speaks version 1 of ")
    assert "stop the experiment with the version of NNI that started it" in text


async def test_times_of_a_machine_are_shifted_to_the_clock_here(
    tmp_path: Path, ssh_servers: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    from nni.training_service.pool import link

    real = link.RunnerLink._greeted

    def greeted(self: Any, hello: Any) -> None:
        hello.now -= 3_600_000  # as if that machine were an hour behind
        real(self, hello)

    monkeypatch.setattr(link.RunnerLink, "_greeted", greeted)
    server = ssh_servers()
    server.trust()
    seen = await succeeds(service(tmp_path, [machine(server)]))
    detail = seen.details["t0"]
    assert detail.start_time is not None
    assert detail.end_time is not None
    assert 3_590_000 < detail.start_time - detail.submit_time < 3_700_000
    assert 0 <= detail.end_time - detail.start_time < 60_000
    await seen.close()


async def test_a_login_shell_that_prints_is_no_trouble(tmp_path: Path, ssh_servers: Callable[..., Any]):
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\necho welcome; echo welcome >&2\neval "$SSH_ORIGINAL_COMMAND"\n')
    noisy.chmod(0o755)
    server = ssh_servers(ForceCommand=str(noisy))
    server.trust()
    seen = await succeeds(service(tmp_path, [machine(server)]))
    await seen.close()


async def test_what_is_there_already_of_the_code_directory_is_not_sent_again(
    tmp_path: Path, ssh_servers: Callable[..., Any]
):
    server = ssh_servers()
    server.trust()
    sent = []
    for name in ("big", "changed"):
        first = service(tmp_path, [machine(server)])
        if name == "big":
            (tmp_path / "code" / "data.bin").write_bytes(os.urandom(300_000))
            (tmp_path / "code" / ".nniignore").write_text("left-out\n")
            (tmp_path / "code" / "left-out").write_bytes(os.urandom(100_000))
            first = service(tmp_path, [machine(server)])
        else:
            (tmp_path / "code" / "notes.txt").write_text("changed")
            first = service(tmp_path, [machine(server)])
        seen = await succeeds(first)
        sent.append(sum(link.sent_bytes for link in first._machines.links))
        await seen.close()
    size = len(TRIAL) + len("left-out\n")
    assert sent == [300_000 + size, len("changed")]


async def test_cut_connections_lose_nothing_and_double_nothing(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    server.trust()
    pool = service(tmp_path, [machine(server)])
    await pool.prepare()
    seen = Observer(pool)
    names = ["t0", "t1", "t2"]
    for number, name in enumerate(names):
        await pool.submit_trial_job(form(name, "wait", number))
    await seen.until(lambda: all(len(seen.values(name, "PERIODICAL")) == 2 for name in names), "two results each")
    server.cut()
    await seen.until(lambda: "no connection" in seen.details["t0"].message, "the loss being noticed")
    for name in names:
        (root(server) / "trials" / name / "nnioutput" / "go").touch()
    state = root(server) / "trials" / "t2" / ".nni" / "state"
    await seen.until(state.exists, "the end without a manager")
    server.start()
    await seen.until(lambda: all(map(seen.ended, names)), "the ends")
    for name in names:
        places = [place for place, _ in seen.lines[name]]
        assert len(places) == len(set(places)) == 4
        assert seen.values(name, "PERIODICAL") == [0, 1, 2]
        assert seen.values(name, "FINAL") == [1.5]
        assert seen.history[name].count(TrialStatus.SUCCEEDED) == 1
        assert (tmp_path / "experiment" / "trials" / name / "trial.log").read_text() == "before\nafter\n"
    await seen.close()
    assert not (server.home / ".nni-remote").exists()


async def test_a_connection_that_dies_without_a_word_is_noticed_and_nothing_is_lost(
    tmp_path: Path, network: Any, ssh_servers: Callable[..., Any], isolated_home: Path
):
    """A pulled cable: no packet says that the connection is over, only the answers that do not come."""
    server = ssh_servers(address=network.address, launcher=network.launcher)
    server.trust()
    (isolated_home / ".ssh" / "config").write_text("Host *\n  ServerAliveInterval 1\n  ServerAliveCountMax 2\n")
    pool = service(tmp_path, [machine(server)])
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "wait"))
    await seen.until(lambda: len(seen.values("t0", "PERIODICAL")) == 2, "two results")
    network.pull()
    there = server.home / ".nni-remote" / EXPERIMENT / f"{server.address}-{server.port}" / "trials" / "t0"
    (there / "nnioutput" / "go").touch()
    await seen.until((there / ".nni" / "state").exists, "the end without a manager")
    await seen.until(lambda: "no connection" in seen.details["t0"].message, "the loss being noticed")
    assert not seen.ended("t0")
    network.plug()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    places = [place for place, _ in seen.lines["t0"]]
    assert len(places) == len(set(places)) == 4
    assert (tmp_path / "experiment" / "trials" / "t0" / "trial.log").read_text() == "before\nafter\n"
    await seen.close()
    assert nothing_runs_on(server)


async def test_a_killed_runner_is_replaced_and_its_trials_run_on(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    server.trust()
    pool = service(tmp_path, [machine(server)])
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "wait"))
    await seen.until(lambda: len(seen.values("t0", "PERIODICAL")) == 2, "two results")
    hello = pool._machines[f"{server.user}@127.0.0.1:{server.port}"].base.hello
    assert hello is not None
    psutil.Process(hello.pid).kill()
    await seen.until(lambda: "no connection" in seen.details["t0"].message, "the loss being noticed")
    (root(server) / "trials" / "t0" / "nnioutput" / "go").touch()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    assert [place for place, _ in seen.lines["t0"]] == sorted({place for place, _ in seen.lines["t0"]})
    await seen.close()
    assert nothing_runs_on(server)


async def test_a_machine_that_is_lost_for_too_long_takes_its_trials_with_it(
    tmp_path: Path, ssh_servers: Callable[..., Any]
):
    from nni.training_service.remote import remote_service

    server = ssh_servers()
    server.trust()
    service(tmp_path, [machine(server)])
    settings = PoolSettings(
        EXPERIMENT, tmp_path / "experiment", "sleep 60", tmp_path / "code", "remote", grace=0.5, lost_after=0.5
    )
    pool = remote_service(settings, RemoteConfig(machine_list=[machine(server)]))
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.history.get("t0", [])[-1:] == [TrialStatus.RUNNING], "the start")
    server.cut()
    await seen.until(lambda: seen.ended("t0"), "the loss")
    assert seen.history["t0"][-1] is TrialStatus.FAILED
    assert "its machine is lost" in seen.details["t0"].message
    server.start()
    await seen.until(lambda: pool._machines[f"{server.user}@127.0.0.1:{server.port}"].is_ready, "the return")
    await seen.close()
    assert nothing_runs_on(server)  # what had been given up was ended


async def test_several_trials_without_reuse_have_a_runner_each(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    server.trust()
    seen = await succeeds(service(tmp_path, [machine(server)], 'echo "$PPID"', reuse_mode=False), 10)
    logs = [(tmp_path / "experiment" / "trials" / f"t{number}" / "trial.log").read_text() for number in range(10)]
    assert len(set(logs)) == 10
    await seen.close()
    assert nothing_runs_on(server)


async def test_python_path_comes_first_for_trials_too(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    server.trust()
    seen = await succeeds(service(tmp_path, [machine(server)], 'echo "$PATH"'))
    log = (tmp_path / "experiment" / "trials" / "t0" / "trial.log").read_text()
    assert log.startswith(f"{server.python_path}:")
    await seen.close()


async def test_what_cannot_be_written_there_is_told_and_tried_again(tmp_path: Path, ssh_servers: Callable[..., Any]):
    server = ssh_servers()
    server.trust()
    pool = service(tmp_path, [machine(server)])
    await pool.prepare()
    directory = root(server) / "trials" / "t0"
    directory.mkdir()
    (directory / "code").write_text("in the way")  # what cannot be written is the same to the runner
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: "t0" in seen.details and "cannot be started" in seen.details["t0"].message, "the reason")
    (directory / "code").unlink()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    await seen.close()


def test_secrets_are_not_shown_by_what_holds_them():
    from nni.training_service.remote import Login

    login = Login("h", 22, "u", "pass-word", None, "pass-phrase")
    assert "pass-word" not in repr(login)
    assert "pass-phrase" not in repr(login)
