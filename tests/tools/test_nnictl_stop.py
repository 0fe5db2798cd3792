"""``nnictl stop``: the seven documented rules in order (PLT-062…069), with real processes and real locks."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nni.experiment.stop import stop_experiment
from nni.store.registry import ExperimentRegistry
from nni.tools.nnictl._app import run

TRIAL = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        return False
    return True


def runs(process: subprocess.Popen[str]) -> bool:
    return process.poll() is None


def test_without_an_id_the_only_running_experiment_is_stopped(add_running, add_stopped, capsys):
    add_stopped("oldoldol")
    _, process = add_running("egchD4qy")
    assert run(["stop"]) == 0
    assert ended(process)
    entry = ExperimentRegistry().get("egchD4qy")
    assert entry.status == "STOPPED"
    assert entry.end_time is not None
    assert "Stopped experiment egchD4qy" in capsys.readouterr().out


def test_without_an_id_and_none_running_it_is_an_error(add_stopped, capsys):
    add_stopped("egchD4qy")
    assert run(["stop"]) == 1
    assert "no experiment is running" in capsys.readouterr().err


def test_without_an_id_and_two_running_none_is_stopped_and_both_are_listed(add_running, capsys):
    (_, first), (_, second) = add_running("aaaa1111", 8080), add_running("bbbb2222", 8081)
    assert run(["stop"]) == 1
    error = capsys.readouterr().err
    assert "aaaa1111 (port 8080)" in error
    assert "bbbb2222 (port 8081)" in error
    assert runs(first)
    assert runs(second)


def test_the_id_of_a_running_experiment_stops_that_one(add_running):
    (_, first), (_, second) = add_running("aaaa1111", 8080), add_running("bbbb2222", 8081)
    assert run(["stop", "aaaa1111"]) == 0
    assert ended(first)
    assert runs(second)


def test_the_id_of_a_stopped_experiment_is_an_error(add_running, add_stopped, capsys):
    add_stopped("aaaa1111")
    _, process = add_running("aaaa11112")
    assert run(["stop", "aaaa1111"]) == 1
    assert "not running" in capsys.readouterr().err
    assert runs(process)


def test_a_port_stops_the_experiment_on_it(add_running, capsys):
    (_, first), (_, second) = add_running("aaaa1111", 8080), add_running("bbbb2222", 8081)
    assert run(["stop", "--port", "8081"]) == 0
    assert ended(second)
    assert runs(first)
    assert run(["stop", "-p", "9999"]) == 1
    assert "no experiment is running on port 9999; running: aaaa1111" in capsys.readouterr().err


def test_a_stopped_experiment_that_had_the_port_is_not_meant(add_running, add_stopped):
    add_stopped("oldoldol", 8080)
    _, process = add_running("aaaa1111", 8080)
    assert run(["stop", "--port", "8080"]) == 0
    assert ended(process)


def test_all_stops_every_one(add_running):
    processes = [add_running("aaaa1111", 8080)[1], add_running("bbbb2222", 8081)[1]]
    assert run(["stop", "--all"]) == 0
    assert all(map(ended, processes))


def test_all_goes_on_when_one_cannot_be_stopped(add_running, add_stopped, capsys, tmp_path):
    """The first one's lock is held by a process that does not look like its manager, so it is left alone."""
    strange = add_stopped("aaaa1111", status="RUNNING")
    _, process = add_running("bbbb2222", 8081)
    with (strange.directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run(["stop", "--all"]) == 1
    assert "experiment aaaa1111: a manager holds" in capsys.readouterr().err
    assert ended(process)


def test_a_pattern_stops_all_that_match(add_running, capsys):
    (_, first), (_, second) = add_running("abaa1111", 8080), add_running("abbb2222", 8081)
    _, third = add_running("cccc3333", 8082)
    assert run(["stop", "ab*"]) == 0
    assert ended(first)
    assert ended(second)
    assert runs(third)
    assert run(["stop", "x*"]) == 1
    assert "no running experiment has an id like 'x*'" in capsys.readouterr().err


def test_the_beginning_of_exactly_one_id_stops_it(add_running):
    (_, first), (_, second) = add_running("abaa1111", 8080), add_running("abbb2222", 8081)
    assert run(["stop", "aba"]) == 0
    assert ended(first)
    assert runs(second)


def test_the_beginning_of_several_ids_stops_none_and_names_them(add_running, capsys):
    (_, first), (_, second) = add_running("abaa1111", 8080), add_running("abbb2222", 8081)
    assert run(["stop", "ab"]) == 1
    error = capsys.readouterr().err
    assert "abaa1111" in error
    assert "abbb2222" in error
    assert runs(first)
    assert runs(second)


def test_an_unknown_id_names_similar_ones(add_running, capsys):
    add_running("egchD4qy")
    assert run(["stop", "egchD4qz"]) == 1
    assert "did you mean egchD4qy" in capsys.readouterr().err


def test_an_id_and_a_port_together_are_wrong_usage(add_running):
    add_running("egchD4qy", 8080)
    assert run(["stop", "egchD4qy", "--port", "8080"]) == 2


def test_a_reused_process_id_is_never_signalled(add_running):
    """The registry names this test's own process; the manager must be found by its command line instead."""
    _, process = add_running("egchD4qy")
    ExperimentRegistry().update("egchD4qy", pid=os.getpid())
    assert run(["stop", "egchD4qy"]) == 0
    assert ended(process)


def test_an_experiment_lost_from_the_registry_file_can_be_stopped(add_running):
    _, process = add_running("egchD4qy")
    ExperimentRegistry().path.write_text("{broken")
    assert run(["stop", "egchD4qy"]) == 0
    assert ended(process)


def test_a_manager_that_ignores_sigterm_is_killed_with_its_trials(add_running, tmp_path):
    entry, manager = add_running("egchD4qy", 8080, "--stubborn")
    trial = subprocess.Popen(
        [sys.executable, "-c", TRIAL],
        env={**os.environ, "NNI_SYS_DIR": str(entry.directory / "trials" / "nrbb2")},
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(trial.stdout.readline())
    assert stop_experiment(entry, grace=0.3) is False
    assert ended(manager)
    assert ended(trial)
    trial.stdout.close()
    assert not _exists(child)


def _exists(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.05)
    return True


def test_stopping_an_experiment_whose_manager_was_killed_ends_the_trials_it_left(add_running, capsys):
    entry, manager = add_running("egchD4qy")
    manager.kill()
    manager.wait()
    trial = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "NNI_SYS_DIR": str(entry.directory / "trials" / "nrbb2")},
    )
    assert run(["stop", "egchD4qy"]) == 0
    assert ended(trial)
    assert "no manager any more" in capsys.readouterr().out
    assert run(["stop", "egchD4qy"]) == 1


def test_stopping_all_ends_what_killed_managers_left_too(add_running, add_stopped, capsys):
    entry, manager = add_running("egchD4qy")
    manager.kill()
    manager.wait()
    add_stopped("wdt0le3v")
    trial = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "NNI_SYS_DIR": str(entry.directory / "trials" / "nrbb2")},
    )
    assert run(["stop", "--all"]) == 0
    assert ended(trial)
    assert "egchD4qy has no manager any more" in capsys.readouterr().out
    assert run(["stop", "--all"]) == 0
    assert capsys.readouterr().out == "INFO: No experiment is running.\n"


@pytest.mark.parametrize("pattern", ["*", "eg*", "egchD4qy*"])
def test_a_pattern_may_be_short_or_complete(add_running, pattern):
    _, process = add_running("egchD4qy")
    assert run(["stop", pattern]) == 0
    assert ended(process)
