"""Machines that the tests reach by SSH, and services for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nni.common.errors import NniError
from nni.config import RemoteConfig, RemoteMachineConfig
from nni.store import TrialStatus
from nni.testing.training_service import Observer, form
from nni.training_service.pool import PoolSettings, PoolTrainingService

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
