"""The registry of experiments: many processes, broken files, and a status that no crash can fake."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nni.store.registry import ExperimentRegistry, RegistryEntry, RegistryError, is_running

if TYPE_CHECKING:
    from pathlib import Path

HOLD_LOCK = """
import fcntl, sys, time
stream = open(sys.argv[1], "w")
fcntl.flock(stream, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def registry(tmp_path: Path) -> ExperimentRegistry:
    return ExperimentRegistry(tmp_path / "nni-experiments" / ".experiment")


@pytest.fixture
def hold_lock():
    """Start a real process that holds the lock of an experiment directory, as a manager does."""
    processes: list[subprocess.Popen[str]] = []

    def hold(directory: Path) -> subprocess.Popen[str]:
        directory.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, str(directory / ".lock")], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_entry_keeps_the_documented_fields(registry, tmp_path):
    registry.add(
        RegistryEntry(
            *("wdt0le3v", tmp_path / "wdt0le3v", 8080, 1614946351592, None, "STOPPED", "local"),
            name="Example",
            tag=["a"],
            pid=17,
            urls=["http://127.0.0.1:8080"],
            url_prefix="nni",
        )
    )
    assert json.loads(registry.path.read_text()) == {
        "wdt0le3v": {
            "id": "wdt0le3v",
            "port": 8080,
            "startTime": 1614946351592,
            "endTime": "N/A",
            "status": "STOPPED",
            "platform": "local",
            "experimentName": "Example",
            "tag": ["a"],
            "pid": 17,
            "webuiUrl": ["http://127.0.0.1:8080"],
            "prefixUrl": "nni",
            "logDir": str(tmp_path / "wdt0le3v"),
        }
    }


def test_the_file_is_private_because_a_url_may_carry_a_token(registry, tmp_path):
    registry.add(RegistryEntry("a", tmp_path))
    assert registry.path.stat().st_mode & 0o777 == 0o600


def test_no_file_means_no_experiments(registry):
    assert registry.entries() == []
    assert registry.find("a") is None


def test_entries_come_oldest_first(registry, tmp_path):
    for experiment_id, start in (("new", 30), ("old", 10), ("mid", 20)):
        registry.add(RegistryEntry(experiment_id, tmp_path / experiment_id, start_time=start))
    assert [entry.id for entry in registry.entries()] == ["old", "mid", "new"]


def test_an_id_is_added_once(registry, tmp_path):
    registry.add(RegistryEntry("a", tmp_path, port=1))
    with pytest.raises(RegistryError, match="already"):
        registry.add(RegistryEntry("a", tmp_path, port=2))
    assert registry.get("a").port == 1


def test_put_replaces_and_remove_forgets(registry, tmp_path):
    registry.put(RegistryEntry("a", tmp_path, port=1))
    registry.put(RegistryEntry("a", tmp_path, port=2))
    assert registry.get("a").port == 2
    assert registry.remove("a")
    assert not registry.remove("a")


def test_an_unknown_id_names_similar_ones(registry, tmp_path):
    registry.add(RegistryEntry("egchD4qy", tmp_path))
    with pytest.raises(RegistryError, match="did you mean egchD4qy"):
        registry.get("egchD4qz")
    with pytest.raises(RegistryError, match="did you mean egchD4qy"):
        registry.update("egchD4qz", status="RUNNING")


def test_fields_of_other_versions_survive_an_update(registry):
    registry.path.parent.mkdir()
    registry.path.write_text(json.dumps({"a": {"id": "a", "logDir": "/x/a", "colour": "red"}, "note": "by hand"}))
    registry.update("a", status="STOPPED", end_time=5)
    stored = json.loads(registry.path.read_text())
    assert (stored["a"]["colour"], stored["a"]["endTime"], stored["note"]) == ("red", 5, "by hand")


def test_an_entry_of_nni_2_names_the_parent_directory(registry, tmp_path):
    (tmp_path / "egchD4qy").mkdir()
    registry.path.parent.mkdir()
    registry.path.write_text(json.dumps({"egchD4qy": {"id": "egchD4qy", "logDir": str(tmp_path)}}))
    assert registry.get("egchD4qy").directory == tmp_path / "egchD4qy"


@pytest.mark.parametrize("content", ["", '{"a": {"id": "a", "po', "[]", "\x00\x00"])
def test_a_broken_file_is_moved_aside_and_rebuilt(registry, content, caplog, hold_lock):
    root = registry.path.parent
    hold_lock(root / "alive")
    (root / "dead").mkdir()
    (root / "dead" / ".lock").touch()
    registry.path.write_text(content)

    assert {entry.id: entry.status for entry in registry.entries()} == {"alive": "RUNNING", "dead": "STOPPED"}
    assert "unreadable" in caplog.text
    (aside,) = root.glob(".experiment.broken-*")
    assert aside.read_text() == content
    registry.update("dead", port=8080)
    assert registry.get("dead").port == 8080


def test_a_lost_file_is_rebuilt_as_well(registry, caplog, hold_lock):
    hold_lock(registry.path.parent / "alive")
    assert [(entry.id, entry.status) for entry in registry.entries()] == [("alive", "RUNNING")]
    assert "was lost" in caplog.text
    assert registry.path.is_file()


def test_the_status_of_a_killed_manager_is_stopped_whatever_the_file_says(registry, tmp_path, hold_lock):
    manager = hold_lock(tmp_path / "a")
    # The recorded process id is this test's own, which is certainly alive: a reused id must prove nothing.
    registry.add(RegistryEntry("a", tmp_path / "a", status="RUNNING", pid=os.getpid()))
    assert registry.get("a").status == "RUNNING"
    manager.send_signal(signal.SIGKILL)
    manager.wait()
    assert registry.get("a").status == "STOPPED"
    assert json.loads(registry.path.read_text())["a"]["status"] == "RUNNING"


def test_a_manager_that_has_just_been_spawned_is_initialized(registry, tmp_path):
    registry.add(RegistryEntry("a", tmp_path, pid=os.getpid()))
    assert registry.get("a").status == "INITIALIZED"


def test_a_spawned_manager_that_died_before_its_lock_is_stopped(registry, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    registry.add(RegistryEntry("a", tmp_path, pid=process.pid))
    assert registry.get("a").status == "STOPPED"


def test_probing_a_lock_does_not_keep_it(tmp_path):
    (tmp_path / ".lock").touch()
    assert not is_running(tmp_path)
    with (tmp_path / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert is_running(tmp_path)
    assert not is_running(tmp_path)
    assert not is_running(tmp_path / "missing")


def _write_many(path: Path, worker: int, count: int) -> None:
    registry = ExperimentRegistry(path)
    for number in range(count):
        registry.add(RegistryEntry(f"w{worker}n{number}", path.parent, status="STOPPED"))
        registry.update("shared", tag=[*registry.get("shared").tag, "x"][-1:], port=worker)


def test_nothing_is_lost_when_many_processes_write_at_once(registry):
    registry.add(RegistryEntry("shared", registry.path.parent, status="STOPPED"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(registry.path, worker, 20)) for worker in range(4)]
    for process in workers:
        process.start()
    while any(process.is_alive() for process in workers):
        assert registry.find("shared") is not None  # a reader never sees a half-written file
    for process in workers:
        process.join()
        assert process.exitcode == 0
    assert len(registry.entries()) == 4 * 20 + 1


def test_writers_killed_at_any_moment_leave_a_readable_file(registry):
    registry.add(RegistryEntry("shared", registry.path.parent, status="STOPPED"))
    context = multiprocessing.get_context("spawn")
    for round_number in range(3):
        process = context.Process(target=_write_many, args=(registry.path, round_number, 100_000))
        process.start()
        before = len(registry.entries())
        while len(registry.entries()) < before + 5:
            pass
        process.kill()
        process.join()
        registry.add(RegistryEntry(f"after{round_number}", registry.path.parent))
    assert not list(registry.path.parent.glob("*.broken-*"))


def test_an_unwritable_home_is_an_error_with_the_path(tmp_path):
    (tmp_path / "file").write_text("")
    registry = ExperimentRegistry(tmp_path / "file" / ".experiment")
    with pytest.raises(RegistryError, match="file"):
        registry.add(RegistryEntry("a", tmp_path))
