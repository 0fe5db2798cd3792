"""A home of its own for every test, and real processes that stand for managers."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture
def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
