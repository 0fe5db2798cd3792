"""Experiments with a shared storage, from ``nnictl create`` to ``stop``, on machines that are reached by SSH."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from road_lab import get, nnictl, wait_for

from nni.store.registry import ExperimentRegistry
from nni.trial_runner.mounts import mounted_at

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("asyncssh")]
TRIAL = """
import os, time, nni
x = nni.get_next_parameter()["x"]
print("data:", open("../../../../data.txt").read())  # of the storage, from the trial's directory in it
output = os.environ["NNI_OUTPUT_DIR"]
os.makedirs(output + "/tensorboard")
open(output + "/model.txt", "w").write(str(x))
for step in range(3):
    nni.report_intermediate_result(step)
    time.sleep(0.1)
nni.report_final_result(x)
"""


@pytest.fixture
def server(ssh_servers: Callable[..., Any]) -> Any:
    server = ssh_servers()
    server.trust()
    return server


@pytest.fixture
def write_config(tmp_path: Path, server: Any) -> Callable[..., str]:
    def write(**storage: Any) -> str:
        folder = tmp_path / "example"
        folder.mkdir(exist_ok=True)
        (folder / "trial.py").write_text(TRIAL)
        machine = {"host": "127.0.0.1", "port": server.port, "user": server.user, "sshKeyFile": str(server.key)}
        nfs = {"storageType": "NFS", "nfsServer": "127.0.0.1", "exportedDirectory": "/exports/nni"}
        config = {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "python3 trial.py",
            "trialConcurrency": 2,
            "maxTrialNumber": 4,
            "tuner": {"name": "Random"},
            "trainingService": {
                "platform": "remote",
                "machineList": [{**machine, "pythonPath": server.python_path}],
            },
            "sharedStorage": {**nfs, "localMounted": "usermount", **storage},
        }
        (folder / "config.yml").write_text(json.dumps(config))
        return str(folder / "config.yml")

    return write


def test_trials_work_on_the_storage_which_the_user_has_mounted(
    write_config: Callable[..., str], server: Any, tmp_path: Path, free_port: int
):
    """A file system that everybody sees under the same path, as a cluster's; also after the manager was killed."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "data.txt").write_text("precious")
    config = write_config(localMountPoint=str(share), remoteMountPoint=str(share))
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    (entry,) = ExperimentRegistry().entries()
    wait_for(lambda: get(free_port, "/summary")["counts"].get("SUCCEEDED", 0) >= 1, "a first result")
    os.kill(entry.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(entry.pid), "the manager's death")
    resumed = nnictl("resume", entry.id, "-p", str(free_port))
    assert resumed.returncode == 0, resumed.stderr
    wait_for(lambda: get(free_port, "/summary")["status"] == "DONE", "the end")
    trials = get(free_port, "/trials")["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 4
    trial = trials[0]
    place = share / "nni" / entry.id / "trials" / trial["id"]
    assert trial["storage"] == f"nfs://127.0.0.1/exports/nni/nni/{entry.id}/trials/{trial['id']}"
    assert json.loads((place / "parameter.cfg").read_text())["parameters"] == trial["parameters"]
    assert float((place / "nnioutput" / "model.txt").read_text()) == trial["value"]
    names = {file["name"] for file in get(free_port, f"/trials/{trial['id']}/files")}
    assert {"trial.log", "nnioutput/model.txt"} <= names
    url = f"http://127.0.0.1:{free_port}/api/v1/nni/trials/{trial['id']}/files/nnioutput/model.txt"
    assert httpx.get(url, trust_env=False).text == (place / "nnioutput" / "model.txt").read_text()
    if importlib.util.find_spec("tensorboard") is not None:
        url = f"http://127.0.0.1:{free_port}/api/v1/nni/tensorboard"
        task = httpx.post(url, json={"trials": trial["id"]}, trust_env=False, timeout=120).json()
        assert [Path(path).resolve() for path in task["trialLogDirectoryList"]] == [place / "nnioutput" / "tensorboard"]
        assert task["status"] == "RUNNING"
    log = nnictl("log", "trial", entry.id, "--trial_id", trial["id"]).stdout.strip()
    assert Path(log).read_text() == "data: precious\n"
    assert nnictl("stop", entry.id).returncode == 0
    assert (place / "trial.log").read_text() == "data: precious\n"
    assert (share / "data.txt").read_text() == "precious"
    assert not (server.home / ".nni-remote").exists()


def test_a_machine_that_cannot_mount_is_told_by_create_and_nothing_stays_there(
    write_config: Callable[..., str], server: Any, tmp_path: Path, free_port: int
):
    """The real ``mount -t nfs``, of a server that exports nothing."""
    config = write_config(localMountPoint=str(tmp_path / "share"), remoteMountPoint="./nni-shared-storage")
    created = nnictl("create", "-c", config, "-p", str(free_port))
    if created.returncode == 0:  # NFS is known here: the machine is tried again and again
        waiting = wait_for(lambda: get(free_port, "/summary")["waiting"], "the reason")
        assert "NFS 127.0.0.1:/exports/nni cannot be mounted" in waiting
        assert nnictl("stop", "--all").returncode == 0
    else:
        where = f"NFS 127.0.0.1:/exports/nni cannot be mounted at {server.home}/nni-shared-storage: "
        assert f"{server.user}@127.0.0.1:{server.port}: {where}" in created.stderr
        assert "Traceback" not in created.stderr
    psutil.wait_procs(server.processes(), timeout=20)
    assert not (server.home / ".nni-remote").exists()
    assert not (server.home / "nni-shared-storage").exists()


def test_a_manager_that_cannot_mount_is_told_by_create(
    write_config: Callable[..., str], server: Any, tmp_path: Path, free_port: int
):
    point = tmp_path / "point"
    config = write_config(localMountPoint=str(point), remoteMountPoint=str(point), localMounted="nnimount")
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 1
    assert f"sharedStorage: NFS 127.0.0.1:/exports/nni cannot be mounted at {point}: " in created.stderr
    assert "Traceback" not in created.stderr
    assert not point.exists()
    assert server.processes() == []


def test_another_storage_on_the_machine_than_here_is_told(
    write_config: Callable[..., str], server: Any, tmp_path: Path, free_port: int
):
    here, there = tmp_path / "share", server.home / "shared"
    there.mkdir()
    bound = subprocess.run(["mount", "--bind", str(there), str(there)], capture_output=True, check=False)
    if bound.returncode != 0:
        pytest.skip("this user may not mount anything here")
    try:
        config = write_config(localMountPoint=str(here), remoteMountPoint=str(there))
        created = nnictl("create", "-c", config, "-p", str(free_port))
        if created.returncode == 0:  # it was still being looked for
            waiting = wait_for(lambda: get(free_port, "/summary")["waiting"], "the reason")
            assert nnictl("stop", "--all").returncode == 0
        else:
            waiting = created.stderr
        assert f"{there} is another storage than the manager's" in waiting
        assert mounted_at(there) is not None  # the user mounted it
    finally:
        subprocess.run(["umount", str(there)], check=True)
