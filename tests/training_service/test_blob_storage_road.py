"""Experiments on Azure Blob storage: a real server of it, a real FUSE mount on a machine that is reached by SSH.

Only the program that mounts is not Microsoft's, which cannot be installed everywhere: `blobfuse2_stand_in` is written
from its documentation.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from road_lab import get, nnictl, wait_for

from nni.store.registry import ExperimentRegistry
from nni.trial_runner.mounts import mounted_at

TRIAL = """
import os, nni
x = nni.get_next_parameter()["x"]
print("data:", open("../../../../data.txt").read())
os.makedirs(os.environ["NNI_OUTPUT_DIR"] + "/tensorboard")
open(os.environ["NNI_OUTPUT_DIR"] + "/tensorboard/events", "w").write(str(x))
nni.report_final_result(x)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires_module("asyncssh"),
    pytest.mark.skipif(os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="FUSE cannot be used here"),
]


def found_in(directory: Path, text: str) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture
def container(azurite: Any) -> Any:
    container = azurite.container(f"nni-{uuid.uuid4().hex[:12]}")
    container.upload_blob("data.txt", b"precious")
    return container


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a program of that name, on this machine's PATH."""
    directory = tmp_path / "programs"
    directory.mkdir()
    script = Path(__file__).with_name("blobfuse2_stand_in.py")
    (directory / "blobfuse2").write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    (directory / "blobfuse2").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


@pytest.fixture
def server(ssh_servers: Callable[..., Any]) -> Any:
    server = ssh_servers()
    server.trust()
    return server


@pytest.fixture
def write_config(tmp_path: Path, server: Any, azurite: Any, container: Any) -> Callable[..., str]:
    def write(python_path: str, **storage: Any) -> str:
        folder = tmp_path / "example"
        folder.mkdir(exist_ok=True)
        (folder / "trial.py").write_text(TRIAL)
        machine = {"host": "127.0.0.1", "port": server.port, "user": server.user, "sshKeyFile": str(server.key)}
        blob = {
            "storageType": "AzureBlob",
            "storageAccountName": azurite.account,
            "storageAccountKey": azurite.key,
            "containerName": container.container_name,
            "blobEndpoint": azurite.endpoint,
        }
        config = {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": str(folder),
            "trialConcurrency": 1,
            "maxTrialNumber": 2,
            "tuner": {"name": "Random"},
            "trainingService": {"platform": "remote", "machineList": [{**machine, "pythonPath": python_path}]},
            "sharedStorage": {**blob, "remoteMountPoint": "./blob", "localMounted": "nomount", **storage},
        }
        path = tmp_path / "config.yml"  # with the key in it: not in the directory that is sent
        path.write_text(json.dumps(config))
        return str(path)

    return write


@pytest.mark.parametrize("local", ["nomount", "nnimount"])
def test_trials_work_in_the_container_and_their_files_are_found_here(
    write_config: Callable[..., str],
    server: Any,
    azurite: Any,
    container: Any,
    programs: Path,
    tmp_path: Path,
    free_port: int,
    local: str,
):
    here = tmp_path / "here"
    config = write_config(f"{programs}:{server.python_path}", localMountPoint=str(here), localMounted=local)
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    (entry,) = ExperimentRegistry().entries()
    wait_for(lambda: get(free_port, "/summary")["status"] == "DONE", "the end")
    trials = get(free_port, "/trials")["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 2
    assert mounted_at(server.home / "blob") is not None
    assert (mounted_at(here) is not None) is (local == "nnimount")
    for trial in trials:
        name = f"nni/{entry.id}/trials/{trial['id']}/nnioutput/tensorboard/events"
        assert container.download_blob(name).readall().decode() == str(trial["value"])
        assert trial["storage"] == f"{azurite.endpoint}/{container.container_name}/{name.partition('/nnioutput')[0]}"
        found = entry.directory / "trials" / trial["id"] / "nnioutput" / "tensorboard" / "events"
        wait_for(found.exists, "the file")
        assert found.read_text() == str(trial["value"])
    assert found_in(server.home / ".nni-remote", azurite.key) == []
    assert nnictl("stop", entry.id).returncode == 0
    names = {blob.name for blob in container.list_blobs()}
    assert {f"nni/{entry.id}/trials/{trial['id']}/trial.log" for trial in trials} <= names
    assert container.download_blob("data.txt").readall() == b"precious"
    assert mounted_at(server.home / "blob") is None
    assert not (server.home / "blob").exists()
    assert not (server.home / ".nni-remote").exists()
    assert mounted_at(here) is None
    logs = "".join(path.read_text() for path in (entry.directory / "log").iterdir())
    assert azurite.key not in logs


def test_a_machine_without_the_program_is_told_by_create(
    write_config: Callable[..., str], server: Any, tmp_path: Path, free_port: int
):
    config = write_config(server.python_path, localMountPoint=str(tmp_path / "here"))
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 1
    assert f"cannot be mounted at {server.home}/blob: there is neither blobfuse2 nor blobfuse" in created.stderr
    assert "Traceback" not in created.stderr


def test_a_key_that_is_wrong_is_told_by_create(
    write_config: Callable[..., str], server: Any, programs: Path, tmp_path: Path, free_port: int
):
    """Found out by the mount on this machine: the program says 403."""
    config = write_config(
        f"{programs}:{server.python_path}",
        localMountPoint=str(tmp_path / "here"),
        localMounted="nnimount",
        storageAccountKey="d3Jvbmc=",
    )
    created = nnictl("create", "-c", config, "-p", str(free_port))
    assert created.returncode == 1
    assert "the key is not accepted (storageAccountKey)" in created.stderr
    assert "d3Jvbmc=" not in created.stderr
    assert not (tmp_path / "here").exists()
