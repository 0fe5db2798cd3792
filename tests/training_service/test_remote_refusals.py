"""Machines that cannot be used, or not yet: each is named, with what to do, and the others go on."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from remote_lab import (
    BARE_PYTHON,
    fingerprint,
    machine,
    problem_of,
    root,
    service,
    succeeds,
)

from nni.store import TrialStatus
from nni.testing.training_service import Observer, form

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]


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
