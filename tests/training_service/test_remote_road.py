"""An experiment on other machines, from ``nnictl create`` to ``stop``, with a manager that is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from road_lab import get, nnictl, wait_for

from nni.store.registry import ExperimentRegistry

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]
TRIAL = """
import time, nni
x = nni.get_next_parameter()["x"]
for step in range(5):
    nni.report_intermediate_result(step)
    time.sleep(0.2)
nni.report_final_result(x)
"""


@pytest.fixture
def write_config(tmp_path: Path):
    def write(services: Any, **changes: Any) -> str:
        folder = tmp_path / "example"
        folder.mkdir(exist_ok=True)
        (folder / "trial.py").write_text(TRIAL)
        config = {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "python3 trial.py",
            "trialConcurrency": 4,
            "maxTrialNumber": 8,
            "tuner": {"name": "Random"},
            "trainingService": services,
            **changes,
        }
        (folder / "config.yml").write_text(json.dumps(config))
        return str(folder / "config.yml")

    return write


def section(*servers: Any, **changes: Any) -> dict[str, Any]:
    machines = [
        {
            "host": "127.0.0.1",
            "port": server.port,
            "user": server.user,
            "sshKeyFile": str(server.key),
            "sshPassphrase": "not needed but secret",
            "pythonPath": server.python_path,
        }
        for server in servers
    ]
    return {"platform": "remote", "machineList": machines, **changes}


def test_an_experiment_on_two_machines_survives_its_manager_and_leaves_nothing_there(
    write_config: Callable[..., str], ssh_servers: Callable[..., Any], free_port: int
):
    servers = [ssh_servers(), ssh_servers()]
    for server in servers:
        server.trust()
    created = nnictl("create", "-c", write_config(section(*servers)), "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    (entry,) = ExperimentRegistry().entries()
    wait_for(lambda: get(free_port, "/summary")["counts"].get("SUCCEEDED", 0) >= 1, "a first result")
    os.kill(entry.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(entry.pid), "the manager's death")
    time.sleep(0.5)  # trials run on, and end, while nobody is there
    resumed = nnictl("resume", entry.id, "-p", str(free_port))
    assert resumed.returncode == 0, resumed.stderr
    wait_for(lambda: get(free_port, "/summary")["status"] == "DONE", "the end")
    trials = get(free_port, "/trials")["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 8
    for trial in trials:
        metrics = get(free_port, f"/trials/{trial['id']}/metrics")
        assert [metric["value"] for metric in metrics if metric["type"] == "PERIODICAL"] == [0, 1, 2, 3, 4]
        assert trial["value"] == trial["parameters"]["x"]
        assert trial["message"].startswith(f"on {servers[0].user}@127.0.0.1:")
    assert len({trial["message"] for trial in trials}) == 2
    shown = json.dumps(get(free_port, "/experiment")) + nnictl("experiment", "show", entry.id).stdout
    shown += "".join(path.read_text() for path in (entry.directory / "log").iterdir())
    assert "not needed but secret" not in shown
    assert nnictl("stop", entry.id).returncode == 0
    for server in servers:
        assert not (server.home / ".nni-remote").exists()
        psutil.wait_procs(server.processes(), timeout=20)
        assert server.processes() == []


def test_local_and_remote_together(write_config: Callable[..., str], ssh_servers: Callable[..., Any], free_port: int):
    server = ssh_servers()
    server.trust()
    config = write_config([section(server), {"platform": "local"}], maxTrialNumber=4)
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    wait_for(lambda: get(free_port, "/summary")["status"] == "DONE", "the end")
    trials = get(free_port, "/trials")["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 4
    assert {trial["message"] for trial in trials} == {"on local", f"on {server.user}@127.0.0.1:{server.port}"}
    assert nnictl("stop", "--all").returncode == 0


def test_a_trial_that_is_lost_with_its_machine_is_run_again_and_everybody_sees_it(
    write_config: Callable[..., str], ssh_servers: Callable[..., Any], free_port: int
):
    servers = [ssh_servers(), ssh_servers()]
    for server in servers:
        server.trust()
    services = section(*servers, lostAfter="1s", rerunLostTrials=3)
    config = write_config(services, maxTrialNumber=1, trialConcurrency=1)
    trial = Path(config).with_name("trial.py")
    wait = f"import pathlib\nwhile not pathlib.Path({str(trial)!r} + '.go').exists(): time.sleep(0.05)\n"
    trial.write_text(TRIAL + wait)
    assert nnictl("create", "-c", config, "-p", str(free_port)).returncode == 0
    only = lambda: get(free_port, "/trials")["items"][0]  # noqa: E731
    wait_for(lambda: get(free_port, "/trials")["total"] and only()["value"] is not None, "all results of the first run")
    first = next(server for server in servers if str(server.port) in only()["message"])
    first.cut()
    wait_for(lambda: only()["runs"] == 2 and only()["status"] == "RUNNING", "the second run")
    (entry,) = ExperimentRegistry().entries()
    shown = nnictl("experiment", "status", entry.id)
    assert f"127.0.0.1:{first.port}: cannot be reached" in " ".join((shown.stdout + shown.stderr).split())
    trial.with_name("trial.py.go").touch()
    wait_for(lambda: get(free_port, "/summary")["status"] == "DONE", "the end")
    row = only()
    assert row["status"] == "SUCCEEDED"
    assert row["message"].endswith("(run 2: the one before was lost with its machine)")
    metrics = get(free_port, f"/trials/{row['id']}/metrics")
    assert [metric["value"] for metric in metrics] == [0, 1, 2, 3, 4, row["value"]]
    listed = nnictl("trial", "ls", entry.id)
    assert f"run again, the machine was lost: {row['id']} (run 2)" in listed.stdout + listed.stderr
    assert f"trial {row['id']}: waits to be run again (run 2): " in (entry.directory / "log/nnimanager.log").read_text()
    first.start()
    assert nnictl("stop", entry.id).returncode == 0
    for server in servers:
        assert not (server.home / ".nni-remote").exists()


def test_a_machine_that_cannot_be_used_is_told_by_create(
    write_config: Callable[..., str], ssh_servers: Callable[..., Any], free_port: int
):
    server = ssh_servers()
    created = nnictl("create", "-c", write_config(section(server)), "-p", str(free_port))
    assert created.returncode == 1
    assert f"{server.user}@127.0.0.1:{server.port}: its host key is unknown" in created.stderr
    assert "Traceback" not in created.stderr


def test_platform_clean_removes_what_dead_experiments_left_and_nothing_of_living_ones(
    write_config: Callable[..., str], ssh_servers: Callable[..., Any], free_port: int
):
    server = ssh_servers()
    server.trust()
    config = write_config(section(server), trialCommand="sleep 100", maxTrialNumber=1)
    left = server.home / ".nni-remote" / "OLDONE12" / "127.0.0.1-1"
    left.mkdir(parents=True)
    (left / "trial.log").write_text("x" * 1000)
    assert nnictl("create", "-c", config, "-p", str(free_port)).returncode == 0
    wait_for(lambda: get(free_port, "/summary")["counts"].get("RUNNING"), "the trial")
    (entry,) = ExperimentRegistry().entries()
    cleaned = nnictl("platform", "clean", "-c", config)
    assert cleaned.returncode == 0, cleaned.stderr
    assert "removed 1 directories of experiments, 1000 bytes" in cleaned.stdout
    assert f"kept {entry.id}/127.0.0.1-{server.port}" in cleaned.stdout
    assert [path.name for path in (server.home / ".nni-remote").iterdir()] == [entry.id]
    assert nnictl("stop", entry.id).returncode == 0
    assert nnictl("platform", "clean", "-c", config).returncode == 0
    assert not (server.home / ".cache" / "nni").exists()
    server.cut()
    lost = nnictl("platform", "clean", "-c", config)
    assert lost.returncode == 1
    assert "cannot be reached" in lost.stderr
