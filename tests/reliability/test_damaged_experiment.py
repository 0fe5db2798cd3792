"""Managers that must refuse to start: a second one, a taken port, a database that is damaged, newer or gone."""

from __future__ import annotations

import hashlib
import random
import socket
import sqlite3

import pytest
from reliability_lab import Lab

from nni.common.errors import NniError
from nni.experiment.launch import LaunchOptions, create
from nni.store.registry import ExperimentRegistry

TRIAL = """
import witness
witness.start()
for step in range(50):
    witness.report("PERIODICAL", step)
witness.report("FINAL", 1)
"""


def contents(lab: Lab) -> dict[str, str]:
    """Fingerprints of the files that hold the experiment; -shm is SQLite's index of the log, made anew at will."""
    names = ("nni.sqlite", "nni.sqlite-wal")
    paths = [lab.directory / "db" / name for name in names]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}


@pytest.fixture
def killed(lab: Lab) -> Lab:
    """An experiment whose manager was killed, so that part of it is in the write-ahead log only."""
    lab.write("trial.py", TRIAL)
    lab.start(maxTrialNumber=4)
    lab.wait_for_end()
    lab.kill()
    return lab


def refused_in_one_line(lab: Lab) -> str:
    """Resume must fail with one line, and leave every byte as it is."""
    before = contents(lab)
    said = lab.resume()
    assert said["event"] == "error", said
    assert "\n" not in said["message"]
    assert lab.manager.returncode == 1
    assert "Traceback" not in (lab.root / "manager.out").read_text()
    assert contents(lab) == before
    return str(said["message"])


@pytest.mark.slow
def test_a_second_manager_of_the_same_experiment_is_refused(lab, free_ports):
    lab.write("trial.py", "import time, witness\nwitness.start()\ntime.sleep(600)\n")
    lab.start(trialConcurrency=1)
    lab.wait(lambda: lab.noted("starts"), "a trial")
    first = lab.manager
    process, receive = lab.spawn("resume", port=free_ports(1)[0])
    said = lab._ready(process, receive)
    assert said["event"] == "error"
    assert "another manager runs this experiment already" in said["message"]
    assert str(lab.directory) in said["message"]
    lab.manager = first
    assert lab.statuses() == ["RUNNING"], "the first goes on undisturbed"
    assert len(lab.noted("starts")) == 1


@pytest.mark.slow
def test_a_directory_that_holds_an_experiment_is_not_created_over(killed):
    lab = killed
    before = contents(lab)
    said = lab.start()
    assert said["event"] == "error"
    assert "holds an experiment already; resume it instead" in said["message"]
    assert contents(lab).keys() >= {"nni.sqlite"}
    lab.resume()
    assert len(lab.trials()) == 4
    assert before


def test_a_taken_port_is_refused_and_nothing_is_left_behind(lab):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        lab.port = other.getsockname()[1]
        said = lab.start()
    assert said["event"] == "error"
    assert f"127.0.0.1:{lab.port}" in said["message"]
    assert "choose another port with --port" in said["message"]
    assert list(lab.directory.iterdir()) == []


def test_the_launcher_refuses_a_taken_port_and_leaves_no_experiment(lab):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(NniError, match=f"{port} is in use"):
            create(lab.config(), LaunchOptions(port=port))
    assert list(ExperimentRegistry().entries()) == []
    assert not lab.directory.parent.exists()


@pytest.mark.slow
def test_a_database_whose_header_is_overwritten_is_refused_and_left_alone(killed):
    path = killed.directory / "db" / "nni.sqlite"
    with path.open("r+b") as file:
        file.write(random.Random(1).randbytes(100))
    # Without its log: SQLite would read the first page from there, and find the database whole.
    (path.parent / "nni.sqlite-wal").unlink()
    message = refused_in_one_line(killed)
    assert str(path) in message
    assert "not a" in message
    assert "restore it from a copy" in message


@pytest.fixture
def stopped(killed: Lab) -> Lab:
    """An experiment that was stopped in peace: everything is in the database file."""
    killed.resume()
    assert killed.stop() == 0
    assert contents(killed).keys() == {"nni.sqlite"}
    return killed


@pytest.mark.slow
def test_a_truncated_database_is_refused_and_left_alone(stopped):
    path = stopped.directory / "db" / "nni.sqlite"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    assert "restore it from a copy" in refused_in_one_line(stopped)


@pytest.mark.slow
def test_any_page_overwritten_with_rubbish_is_noticed_and_left_alone(stopped):
    path = stopped.directory / "db" / "nni.sqlite"
    whole = path.read_bytes()
    pages = len(whole) // 4096
    chance = random.Random(7)
    for page in chance.sample(range(1, pages), min(4, pages - 1)):
        path.write_bytes(whole[: page * 4096] + chance.randbytes(4096) + whole[(page + 1) * 4096 :])
        assert "restore it from a copy" in refused_in_one_line(stopped)
    path.write_bytes(whole)
    assert stopped.resume()["event"] == "ready", "and the copy, put back, is as good as before"
    assert len(stopped.trials()) == 4


@pytest.mark.slow
def test_a_database_of_a_newer_version_is_refused_and_left_alone(killed):
    with sqlite3.connect(killed.directory / "db" / "nni.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    message = refused_in_one_line(killed)
    assert "newer version of nni" in message
    assert "upgrade nni" in message


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_database_that_is_gone_is_not_replaced_by_a_new_one(stopped, how):
    path = stopped.directory / "db" / "nni.sqlite"
    path.unlink()
    if how == "empty":
        path.touch()
    message = refused_in_one_line(stopped)
    assert str(path) in message
    assert "nothing to resume" in message


def test_a_directory_that_is_not_there_is_said_in_one_line(lab):
    said = lab.resume()
    assert said["event"] == "error"
    assert str(lab.directory) in said["message"]
    assert "Traceback" not in (lab.root / "manager.out").read_text()
