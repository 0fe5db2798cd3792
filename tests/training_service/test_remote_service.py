"""Trials behind a real SSH server: the contract, the ways to log in, and what is said when something is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from remote_lab import (
    EXPERIMENT,
    TRIAL,
    machine,
    nothing_runs_on,
    root,
    service,
    succeeds,
)

from nni.config import RemoteConfig
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.pool import PoolSettings, PoolTrainingService

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]


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


def test_secrets_are_not_shown_by_what_holds_them():
    from nni.training_service.remote import Login

    login = Login("h", 22, "u", "pass-word", None, "pass-phrase")
    assert "pass-word" not in repr(login)
    assert "pass-phrase" not in repr(login)
