"""The shared fixtures end what a test started, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def shared():
    spec = importlib.util.spec_from_file_location("shared_fixtures", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sleeper(end_afterwards):
    """Start a process that would sleep for long, in a home."""

    def start(home: Path) -> subprocess.Popen[bytes]:
        code = "import time; time.sleep(600)"
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "HOME": str(home)})
        end_afterwards(process)
        return process

    return start


def test_home_is_not_the_users(tmp_path_factory):
    import pwd

    assert os.environ["HOME"] != pwd.getpwuid(os.getuid()).pw_dir
    assert Path.home().is_relative_to(tmp_path_factory.getbasetemp())


def test_python3_is_the_python_of_the_tests():
    code = "import sys; print(sys.prefix)"
    result = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=True)
    assert Path(result.stdout.strip()) == Path(sys.prefix)


def test_a_recorded_manager_and_its_trial_are_ended(shared, sleeper, isolated_home):
    manager, trial = sleeper(isolated_home), sleeper(isolated_home)
    folder = isolated_home / "nni-experiments" / "abcd1234"
    (folder / "trials" / "nrbb2" / ".nni").mkdir(parents=True)
    (folder / "trials" / "nrbb2" / ".nni" / "jobpid").write_text(f"{trial.pid}\n")
    registry = isolated_home / "nni-experiments" / ".experiment"
    registry.write_text(json.dumps({"abcd1234": {"pid": manager.pid, "logDir": str(folder)}}))
    shared.end_experiments(isolated_home)
    assert not psutil.pid_exists(manager.pid)
    assert not psutil.pid_exists(trial.pid)


def test_a_recorded_process_of_somebody_else_is_left_alone(shared, sleeper, isolated_home, tmp_path):
    somebody = sleeper(tmp_path)
    root = isolated_home / "nni-experiments"
    root.mkdir()
    (root / ".experiment").write_text(json.dumps({"abcd1234": {"pid": somebody.pid}}))
    shared.end_experiments(isolated_home)
    assert psutil.pid_exists(somebody.pid)
    assert somebody.poll() is None


def test_free_ports_are_different(free_ports):
    assert len(set(free_ports(5))) == 5
