"""A home of its own for every test, and real processes that stand for managers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from nnictl_lab import unused_port, wait_until

from nni.store.registry import ExperimentRegistry, RegistryEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Holds the lock as a manager does, and ends on SIGTERM unless it is told to be stubborn. Its arguments look like a
# manager's, because nobody is signalled who does not look like one.
MANAGER = """
import fcntl, signal, sys, time
directory = sys.argv[sys.argv.index("--directory") + 1]
stream = open(directory + "/.lock", "w")
fcntl.flock(stream, fcntl.LOCK_EX)
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a temporary directory the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def add_stopped(home: Path) -> Callable[..., RegistryEntry]:
    """Return a function that registers a stopped experiment with its directory."""
    count = 0

    def add(experiment_id: str, port: int = 8080, **fields: object) -> RegistryEntry:
        nonlocal count
        count += 1
        directory = home / "nni-experiments" / experiment_id
        (directory / "log").mkdir(parents=True)
        values = {"status": "STOPPED", "start_time": 1_700_000_000_000 + count, **fields}
        entry = RegistryEntry(experiment_id, directory, port, **values)  # type: ignore[arg-type]
        ExperimentRegistry().add(entry)
        return entry

    return add


@pytest.fixture
def add_running(
    add_stopped: Callable[..., RegistryEntry],
) -> Iterator[Callable[..., tuple[RegistryEntry, subprocess.Popen[str]]]]:
    """Return a function that registers an experiment and starts a process in the place of its manager."""
    processes = []

    def add(experiment_id: str, port: int = 8080, *extra: str) -> tuple[RegistryEntry, subprocess.Popen[str]]:
        entry = add_stopped(experiment_id, port, status="RUNNING")
        command = [sys.executable, "-c", MANAGER, "nni.server", "--directory", str(entry.directory), *extra]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        ExperimentRegistry().update(experiment_id, pid=process.pid)
        return ExperimentRegistry().get(experiment_id), process

    yield add
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


TRIAL = """
import sys, nni
x = nni.get_next_parameter()["x"]
print("x is", x)
nni.report_intermediate_result(x / 2)
if x == 3:
    sys.exit("three is no number")
nni.report_final_result({"default": x, "note": "fine"})
"""
TUNER = """
import json, os
from nni.tuner import Tuner

def note(what, data):  # so that tests see what the tuner was told
    with open(os.path.join(os.environ["NNI_CHECKPOINT_DIRECTORY"], "told"), "a") as file:
        file.write(json.dumps([what, data]) + "\\n")

class Counting(Tuner):
    def update_search_space(self, search_space):
        note("space", search_space)
    def import_data(self, data):
        note("import", data)
    def generate_parameters(self, parameter_id, **kwargs):
        return {"x": parameter_id + 1}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...
"""


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run one small experiment to its end, with the real manager; returns its home and its id."""
    from nni.config import ExperimentConfig
    from nni.experiment.launch import LaunchOptions, create
    from nni.experiment.stop import stop_experiment

    home = tmp_path_factory.mktemp("finished")
    (home / "code").mkdir()
    (home / "code" / "trial.py").write_text(TRIAL)
    (home / "code" / "counting.py").write_text(TUNER)
    config = ExperimentConfig.from_dict(
        {
            "experimentName": "Example",
            "experimentWorkingDirectory": str(home / "nni-experiments"),
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 100]}},
            "trialCommand": f"{sys.executable} trial.py",
            "trialCodeDirectory": str(home / "code"),
            "trialConcurrency": 2,
            "maxTrialNumber": 4,
            "tuner": {"className": "counting.Counting", "codeDirectory": str(home / "code")},
            "trainingService": {"platform": "local"},
        }
    )
    registry = ExperimentRegistry(home / "nni-experiments" / ".experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        launched = create(config.canonical(), LaunchOptions(port=unused_port()), registry=registry)
        wait_until(lambda: registry.get(launched.id).status == "DONE", "the end of four trials")
        stop_experiment(registry.get(launched.id), registry=registry)
    return home, launched.id


@pytest.fixture
def finished(home: Path, finished_once: tuple[Path, str]) -> Iterator[RegistryEntry]:
    """A stopped experiment of four trials, one of which failed; a copy of its own for every test."""
    import shutil

    from nni.experiment.stop import stop_experiment

    original, experiment_id = finished_once
    target = home / "nni-experiments" / experiment_id
    before = ExperimentRegistry(original / "nni-experiments" / ".experiment").get(experiment_id)
    ExperimentRegistry().add(replace(before, directory=target))
    shutil.copytree(original / "nni-experiments" / experiment_id, target, ignore=shutil.ignore_patterns(".doorbell"))
    shutil.copytree(original / "code", home / "code")
    yield ExperimentRegistry().get(experiment_id)
    for entry in ExperimentRegistry().entries():
        if entry.alive:
            stop_experiment(entry)


@pytest.fixture
def free_port() -> int:
    """Return a port on which nothing listens."""
    return unused_port()
