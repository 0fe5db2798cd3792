"""The launcher's side of starting a manager: real processes that say ready, refuse, crash or take their time."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from nni.common.errors import NniError
from nni.experiment import launch
from nni.experiment._manager_process import ManagerProcess
from nni.store import Batch, Profile, Store
from nni.store.registry import ExperimentRegistry, RegistryEntry

PREAMBLE = """
import json, os, sys, time
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
ready = os.fdopen(int(arguments["--ready-fd"]), "w")
def say(**event):
    print(json.dumps(event), file=ready, flush=True)
def ready_event():
    say(event="ready", port=int(arguments["--port"]), pid=os.getpid(), urls=["http://127.0.0.1:" + arguments["--port"]])
"""


@pytest.fixture
def manager(monkeypatch):
    """Let a script of the test's own stand in the manager's place; it gets the manager's real arguments."""

    def use(script: str) -> None:
        real = ManagerProcess._command

        def command(self: ManagerProcess, ready: int) -> list[str]:
            arguments = real(self, ready)
            assert arguments[:3] == [sys.executable, "-m", "nni.server"]
            return [sys.executable, "-c", PREAMBLE + script, *arguments[3:]]

        monkeypatch.setattr(ManagerProcess, "_command", command)

    return use


@pytest.fixture
def config(home):
    return {
        "experimentName": "Example",
        "experimentWorkingDirectory": str(home / "work"),
        "trainingService": {"platform": "local"},
    }


def only_entry() -> RegistryEntry:
    (entry,) = ExperimentRegistry().entries()
    return entry


def test_a_ready_manager_is_registered_with_its_address(manager, config, free_port):
    manager("sys.stdin.read(); ready_event()")
    launched = launch.create(config, launch.LaunchOptions(port=free_port))
    assert launched.urls == [f"http://127.0.0.1:{free_port}"]
    stored = ExperimentRegistry().get(launched.id)
    assert (stored.port, stored.pid, stored.urls) == (free_port, launched.pid, launched.urls)
    assert (stored.name, stored.platform) == ("Example", "local")
    assert stored.directory == launched.directory == Path(config["experimentWorkingDirectory"], launched.id)


def test_ids_are_eight_letters_and_digits(manager, config, free_port):
    manager("ready_event()")
    launched = launch.create(config, launch.LaunchOptions(port=free_port))
    assert len(launched.id) == 8
    assert launched.id.isalnum()
    assert not launched.id.isalpha()
    assert not launched.id.isdigit()


def test_an_id_that_the_directory_or_the_registry_knows_is_not_used(manager, config, free_port, monkeypatch, home):
    ids = iter(["aaaa1111", "bbbb2222", "cccc3333"])
    monkeypatch.setattr(launch, "_new_id", lambda: next(ids))
    ExperimentRegistry().add(RegistryEntry("aaaa1111", home / "elsewhere", status="STOPPED"))
    (home / "work" / "bbbb2222").mkdir(parents=True)
    manager("ready_event()")
    assert launch.create(config, launch.LaunchOptions(port=free_port)).id == "cccc3333"


def test_the_manager_gets_the_config_on_standard_input_however_large(manager, config, free_port):
    config["searchSpace"] = {"x": {"_type": "choice", "_value": ["y" * 1000] * 5000}}
    manager("config = json.load(sys.stdin); open('config.json', 'w').write(json.dumps(config)); ready_event()")
    launched = launch.create(config, launch.LaunchOptions(port=free_port))
    assert json.loads((launched.directory / "config.json").read_text()) == config


def test_debug_reaches_config_and_log_level(manager, config, free_port):
    manager(
        "open('seen', 'w').write(json.dumps([json.load(sys.stdin)['debug'], arguments['--log-level']])); ready_event()"
    )
    launched = launch.create(config, launch.LaunchOptions(port=free_port, debug=True))
    assert json.loads((launched.directory / "seen").read_text()) == [True, "debug"]


def test_the_manager_has_a_session_of_its_own(manager, config, free_port):
    manager("open('session', 'w').write(f'{os.getsid(0)} {os.getpid()}'); ready_event()")
    launched = launch.create(config, launch.LaunchOptions(port=free_port))
    session, pid = (launched.directory / "session").read_text().split()
    assert session == pid != str(os.getsid(0))


def test_modules_in_the_users_folder_do_not_shadow_those_of_the_manager(manager, config, free_port, home, monkeypatch):
    (home / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(home)
    manager("ready_event()")
    assert launch.create(config, launch.LaunchOptions(port=free_port)).port == free_port


def test_a_slow_manager_is_waited_for_and_progress_is_told(manager, config, free_port):
    manager("time.sleep(1.5); ready_event()")
    steps = []
    launch.create(config, launch.LaunchOptions(port=free_port), notify=lambda step, _id: steps.append(step.name))
    assert steps[:3] == ["CREATED", "SPAWNED", "WAITING"]


def test_a_refusal_is_an_error_with_the_managers_words_and_leaves_nothing(manager, config, free_port):
    manager("say(event='error', message='tuner.classArgs: nonsense'); sys.exit(1)")
    with pytest.raises(launch.LaunchError, match=r"^tuner.classArgs: nonsense$"):
        launch.create(config, launch.LaunchOptions(port=free_port))
    assert ExperimentRegistry().entries() == []
    assert list(Path(config["experimentWorkingDirectory"]).iterdir()) == []


def test_a_crash_keeps_the_logs_and_prints_their_path(manager, config, free_port):
    manager("raise RuntimeError('boom')")
    with pytest.raises(launch.ManagerCrashError, match="exit code 1") as caught:
        launch.create(config, launch.LaunchOptions(port=free_port))
    entry = only_entry()
    log = entry.directory / "log" / "nnictl_stderr.log"
    assert "RuntimeError: boom" in str(caught.value)
    assert str(log) in str(caught.value)
    assert "RuntimeError: boom" in log.read_text()
    assert entry.status == "STOPPED"


def test_a_manager_killed_before_it_answers_is_a_crash_even_if_a_child_keeps_the_pipe(manager, config, free_port):
    manager(
        "import subprocess;"
        "subprocess.Popen(['sleep', '3'], pass_fds=[int(arguments['--ready-fd'])]); os.kill(os.getpid(), 9)"
    )
    with pytest.raises(launch.ManagerCrashError, match="signal 9"):
        launch.create(config, launch.LaunchOptions(port=free_port))


def test_a_taken_port_is_refused_before_anything_is_made(config, home):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(NniError, match=rf"port: {port} is in use by another program; port \d+ is free"):
            launch.create(config, launch.LaunchOptions(port=port))
    assert not (home / "work").exists()
    assert not (home / "nni-experiments").exists()


def test_an_address_that_is_not_of_this_machine_is_refused(config, free_port, home):
    with pytest.raises(NniError, match=r"host: cannot listen on 192\.0\.2\.1"):
        launch.create(config, launch.LaunchOptions(port=free_port, host="192.0.2.1"))
    assert not (home / "work").exists()


@pytest.mark.parametrize("port", [0, 80, 1024, 65536])
def test_a_port_out_of_range_is_refused(config, port):
    with pytest.raises(NniError, match="between 1025 and 65535"):
        launch.create(config, launch.LaunchOptions(port=port))


def test_a_working_directory_that_is_a_file_is_named(config, home, free_port):
    (home / "work").write_text("")
    with pytest.raises(launch.LaunchError, match="experimentWorkingDirectory"):
        launch.create(config, launch.LaunchOptions(port=free_port))


def test_ctrl_c_while_starting_ends_the_manager_and_leaves_nothing(manager, config, free_port):
    manager("time.sleep(60)")
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        launch.create(config, launch.LaunchOptions(port=free_port))
    assert ExperimentRegistry().entries() == []
    assert list(Path(config["experimentWorkingDirectory"]).iterdir()) == []


@pytest.fixture
def stopped(home):
    """An experiment that has been stopped: registry entry, directory, database."""
    directory = home / "nni-experiments" / "egchD4qy"
    (directory / "db").mkdir(parents=True)
    store = Store(directory / "db" / "nni.sqlite")
    config = {"experimentName": "Example", "trainingService": {"platform": "local"}}
    store.commit(Batch(profile=Profile("egchD4qy", config, start_time=1_700_000_000_000)))
    store.close()
    entry = RegistryEntry("egchD4qy", directory, 8080, 1_700_000_000_000, 1_700_000_060_000, "STOPPED", name="Example")
    ExperimentRegistry().add(entry)
    return entry


def test_resume_starts_the_manager_in_the_old_directory(manager, stopped, free_port):
    manager("open('action', 'w').write(arguments['--action']); ready_event()")
    launched = launch.resume("egchD4qy", launch.LaunchOptions(port=free_port))
    assert (launched.directory / "action").read_text() == "resume"
    entry = ExperimentRegistry().get("egchD4qy")
    assert (entry.port, entry.start_time, entry.end_time) == (free_port, stopped.start_time, None)


def test_resume_of_an_unknown_id_names_similar_ones(stopped, free_port):
    with pytest.raises(NniError, match="did you mean egchD4qy"):
        launch.resume("egchD4qz", launch.LaunchOptions(port=free_port))


def test_a_refused_resume_leaves_the_entry_as_it_was(manager, stopped, free_port):
    manager("say(event='error', message='no'); sys.exit(1)")
    with pytest.raises(launch.LaunchError, match="no"):
        launch.resume("egchD4qy", launch.LaunchOptions(port=free_port))
    assert ExperimentRegistry().get("egchD4qy") == stopped
    assert stopped.directory.is_dir()


@pytest.mark.parametrize("given", ["parent", "own"])
def test_resume_from_an_external_folder(manager, stopped, free_port, home, given):
    moved = home / "elsewhere" / "egchD4qy"
    moved.parent.mkdir()
    stopped.directory.rename(moved)
    ExperimentRegistry().remove("egchD4qy")
    manager("ready_event()")
    folder = moved if given == "own" else moved.parent
    assert launch.resume("egchD4qy", launch.LaunchOptions(port=free_port), directory=folder).directory == moved
    entry = ExperimentRegistry().get("egchD4qy")
    assert (entry.directory, entry.name, entry.start_time) == (moved, "Example", stopped.start_time)


def test_resume_from_the_folder_of_another_experiment_is_refused(stopped, free_port):
    with pytest.raises(launch.LaunchError, match="holds experiment egchD4qy, not aaaa1111"):
        launch.resume("aaaa1111", launch.LaunchOptions(port=free_port), directory=stopped.directory)


def test_resume_of_a_moved_experiment_says_how_to_name_its_place(stopped, free_port, home):
    stopped.directory.rename(home / "moved")
    with pytest.raises(launch.LaunchError, match="--experiment_dir"):
        launch.resume("egchD4qy", launch.LaunchOptions(port=free_port))
    with pytest.raises(launch.LaunchError, match="no experiment directory"):
        launch.resume("egchD4qy", launch.LaunchOptions(port=free_port), directory=home / "nowhere")
