"""On every platform ``nnictl``, REST and the page's links show the same: of trials that run, have ended, were saved."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import road_lab
from road_lab import wait_for

from nni.store.registry import ExperimentRegistry

pytestmark = pytest.mark.slow
TRIAL = """
import os, pathlib, sys, time, nni
x = nni.get_next_parameter()["x"]
print("hello from", nni.get_sequence_id(), flush=True)
print("a warning", file=sys.stderr, flush=True)
nni.report_intermediate_result(x / 2)
while not (pathlib.Path(GO)).exists():
    time.sleep(0.05)
output = pathlib.Path(os.environ["NNI_OUTPUT_DIR"])
(output / "deep").mkdir(parents=True, exist_ok=True)
(output / "deep" / "model.bin").write_bytes(bytes(range(256)) * 2000)
nni.report_final_result(x)
print("done", flush=True)
"""


def nnictl(*arguments: str) -> str:
    done = road_lab.nnictl(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Road:
    """An experiment of three trials, whatever the platform."""

    def __init__(self, folder: Path, port: int, services: Any) -> None:
        self.port = port
        self.folder = folder
        self.go = folder / "go"
        folder.mkdir()
        (folder / "code").mkdir()
        (folder / "code" / "trial.py").write_text(TRIAL.replace("GO", repr(str(self.go))))
        config = {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": "code",
            "trialConcurrency": 3,
            "maxTrialNumber": 3,
            "tuner": {"name": "Random"},
            "trainingService": services,
        }
        (folder / "config.yml").write_text(json.dumps(config))
        nnictl("create", "-c", str(folder / "config.yml"), "-p", str(port))
        (self.entry,) = ExperimentRegistry().entries()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/api/v1/nni{path}", trust_env=False).raise_for_status()

    def trials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/trials").json()["items"]
        return found

    def travel(self, services: set[str], *, is_saved: bool = True) -> None:
        """Look at everything while trials run, after their end, after the experiment's, and after save and load."""
        wait_for(lambda: [trial["intermediates"] for trial in self.trials()] == [1, 1, 1], "the first results")
        self.running()
        self.go.touch()
        wait_for(lambda: self.get("/summary").json()["status"] == "DONE", "the end")
        self.ended(services)
        self.linked()
        nnictl("stop", self.entry.id)
        results = self.results()
        self.viewed(results)
        if is_saved:
            self.saved(results)

    def running(self) -> None:
        first = self.trials()[0]
        where = self.entry.directory / "trials" / first["id"]
        log = lambda *more: nnictl("log", "trial", self.entry.id, "--trial_id", first["id"], *more)  # noqa: E731
        assert log().strip() == str(where / "trial.log")
        wait_for(lambda: log("--show") == "hello from 0\n", "the log")
        wait_for(lambda: log("--show", "--stderr") == "a warning\n", "the errors")
        assert self.get(f"/trial-log/{first['id']}/trial.log").text == "hello from 0\n"
        words = f"log trial {self.entry.id} --trial_id {first['id']} --follow".split()
        self._follower = subprocess.Popen(
            [sys.executable, "-c", road_lab.PROGRAM, *words],
            stdout=subprocess.PIPE,
        )

    def ended(self, services: set[str]) -> None:
        trials = self.trials()
        assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
        assert {trial["service"] for trial in trials} == services
        assert {trial["runs"] for trial in trials} == {1}
        assert self._follower.communicate(timeout=60)[0] == b"hello from 0\ndone\n"
        listed = json.loads(nnictl("trial", "ls", self.entry.id, "--json"))
        assert {row["service"] for row in listed} == services
        assert all(row["message"].startswith("on ") for row in listed if row["service"] != "local" or len(services) > 1)

    def linked(self) -> None:
        """Follow the links that the page has for each trial."""
        for trial in self.trials():
            number = trial["sequence"]
            assert self.get(f"/trial-log/{trial['id']}/trial.log").text == f"hello from {number}\ndone\n"
            assert self.get(f"/trial-log/{trial['id']}/stderr").text == "a warning\n"
            name = "nnioutput/deep/model.bin" if trial["service"] != "local" else "deep/model.bin"
            wait_for(lambda trial=trial, name=name: name in self._files(trial), "its file")
            assert self.get(f"/trials/{trial['id']}/files/{name}").content == bytes(range(256)) * 2000
            assert json.loads(self.get(f"/trials/{trial['id']}/files/parameter.cfg").text)["parameters"]

    def _files(self, trial: dict[str, Any]) -> set[str]:
        return {file["name"] for file in self.get(f"/trials/{trial['id']}/files").json()}

    def results(self) -> list[dict[str, Any]]:
        path = self.folder / "results.json"
        nnictl("experiment", "export", self.entry.id, "-f", str(path), "--type", "json", "-i")
        results: list[dict[str, Any]] = json.loads(path.read_text())
        assert [len(result["intermediate"]) for result in results] == [1, 1, 1]
        assert all(result["value"] == result["parameter"]["x"] for result in results)
        return results

    def viewed(self, results: list[dict[str, Any]]) -> None:
        nnictl("view", self.entry.id, "-p", str(self.port))
        assert {trial["id"] for trial in self.trials()} == {result["trialJobId"] for result in results}
        self.linked()
        nnictl("stop", self.entry.id)

    def saved(self, results: list[dict[str, Any]]) -> None:
        nnictl("experiment", "save", self.entry.id, "-p", str(self.folder), "-s")
        (saved,) = self.folder.glob("*.zip")
        nnictl("experiment", "delete", self.entry.id, "--yes")
        nnictl("experiment", "load", "-p", str(saved), "-c", str(self.folder / "loaded"))
        assert self.results() == results
        shown = nnictl("log", "trial", self.entry.id, "--trial_id", results[0]["trialJobId"], "--show")
        assert shown.startswith("hello from ")
        self.viewed(results)


def remote(*servers: Any, **changes: Any) -> dict[str, Any]:
    for server in servers:
        server.trust()
    machines = [
        {
            "host": "127.0.0.1",
            "port": server.port,
            "user": server.user,
            "sshKeyFile": str(server.key),
            "pythonPath": server.python_path,
        }
        for server in servers
    ]
    return {"platform": "remote", "machineList": machines, **changes}


def slurm_section(**changes: Any) -> dict[str, Any]:
    return {"platform": "slurm", "setup": [f"export PATH={Path(sys.executable).parent}:$PATH"], **changes}


@pytest.mark.requires_module("asyncssh")
def test_machines_reached_by_ssh(isolated_home: Path, tmp_path: Path, ssh_servers: Callable[..., Any], free_port: int):
    Road(tmp_path / "example", free_port, remote(ssh_servers(), ssh_servers())).travel({"remote"}, is_saved=False)


@pytest.mark.requires_module("asyncssh")
def test_three_services_together(
    isolated_home: Path, tmp_path: Path, slurm: Path, ssh_servers: Callable[..., Any], free_port: int
):
    services = [remote(ssh_servers()), {"platform": "local"}, slurm_section()]
    Road(tmp_path / "example", free_port, services).travel({"remote", "local", "slurm"})


# A file of version 1, as people have them: other names, other defaults (no reuse), the machines at the top.
V1 = """
authorName: default
experimentName: machines
trialConcurrency: 2
maxExecDuration: 1h
maxTrialNum: 3
trainingServicePlatform: remote
searchSpacePath: search_space.json
useAnnotation: false
logLevel: info
tuner:
  builtinTunerName: Random
trial:
  command: python3 trial.py
  codeDir: .
  gpuNum: 0
machineList:
"""
V1_MACHINE = """
  - ip: 127.0.0.1
    port: {port}
    username: {user}
    sshKeyPath: {key}
    pythonPath: {python}
"""


@pytest.mark.requires_module("asyncssh")
def test_a_file_of_version_1_with_machines(
    isolated_home: Path, tmp_path: Path, ssh_servers: Callable[..., Any], free_port: int
):
    servers = [ssh_servers(), ssh_servers()]
    text = V1
    for server in servers:
        server.trust()
        text += V1_MACHINE.format(port=server.port, user=server.user, key=server.key, python=server.python_path)
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "search_space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')
    (folder / "trial.py").write_text("import nni\nnni.report_final_result(nni.get_next_parameter()['x'])\n")
    (folder / "config.yml").write_text(text)
    nnictl("create", "-c", str(folder / "config.yml"), "-p", str(free_port))
    url = f"http://127.0.0.1:{free_port}/api/v1/nni"
    get = lambda path: httpx.get(url + path, trust_env=False).json()  # noqa: E731
    wait_for(lambda: get("/summary")["status"] == "DONE", "the end")
    trials = get("/trials")["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 3
    assert {trial["service"] for trial in trials} == {"remote"}
    assert len({trial["message"] for trial in trials}) == 2
    assert get("/experiment")["params"]["trainingService"]["reuseMode"] is False
    nnictl("stop", "--all")
    for server in servers:
        assert not (server.home / ".nni-remote").exists()
