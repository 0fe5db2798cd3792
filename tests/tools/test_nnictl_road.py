"""The main road of the command line: create, look, change, stop, resume, with the real manager and real trials."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from nni.store.registry import ExperimentRegistry

pytestmark = pytest.mark.slow

TRIAL = """
import subprocess, sys, time, nni
x = nni.get_next_parameter()["x"]
for step in range(3):
    nni.report_intermediate_result(x * step)
if {seconds}:
    subprocess.Popen(["sleep", "{seconds}"])  # a child that a careless kill would leave behind
    time.sleep({seconds})
nni.report_final_result(x)
"""
TUNER = """
from nni.tuner import Tuner

class Counting(Tuner):
    def __init__(self):
        self.next = 0
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        self.next += 1
        return {"x": self.next}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass
"""
CONFIG = """
experimentName: Example
searchSpace:
  x: {{_type: uniform, _value: [0, 100]}}
trialCommand: {python} trial.py
trialCodeDirectory: .
trialConcurrency: 2
maxTrialNumber: 4
tuner: {{className: counting.Counting, codeDirectory: .}}
trainingService: {{platform: local}}
"""
BANNER = """\
INFO: Starting restful server...
INFO: Successfully started Restful server!
INFO: Setting local config...
INFO: Successfully set local config!
INFO: Starting experiment...
INFO: Successfully started experiment!
-----------------------------------------------------------------------
The experiment id is ID
The Web UI urls are: http://127.0.0.1:PORT
-----------------------------------------------------------------------

You can use these commands to get more information about the experiment
-----------------------------------------------------------------------
         commands                       description
1. nnictl experiment show        show the information of experiments
2. nnictl trial ls               list all of trial jobs
3. nnictl top                    monitor the status of running experiments
4. nnictl log stderr             show stderr log content
5. nnictl log stdout             show stdout log content
6. nnictl stop                   stop an experiment
7. nnictl trial kill             kill a trial job by id
8. nnictl --help                 get help information about nnictl
-----------------------------------------------------------------------
"""
PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


def nnictl(*arguments: str, code: int = 0, stream: str = "") -> str:
    """Run nnictl as a process of its own, as a shell does, and return what it prints, an error if it fails."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return str(getattr(result, stream or ("stdout" if code == 0 else "stderr")))


@pytest.fixture
def write_config(home):
    """Write an experiment whose trials take some seconds, and return the path of its config."""

    def write(seconds: int = 0) -> str:
        folder = home / "example"
        folder.mkdir(exist_ok=True)
        (folder / "trial.py").write_text(TRIAL.format(seconds=seconds))
        (folder / "counting.py").write_text(TUNER)
        (folder / "config.yml").write_text(CONFIG.format(python=sys.executable))
        return str(folder / "config.yml")

    yield write
    nnictl("stop", "--all")


def wait_for(condition, what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited in vain for: {what}")


def status() -> str:
    return json.loads(nnictl("experiment", "status", "--json"))["status"]


def the_id() -> str:
    (entry,) = ExperimentRegistry().entries()
    return entry.id


def processes_of(directory: Path) -> list[psutil.Process]:
    def belongs(process: psutil.Process) -> bool:
        try:
            return str(directory) in process.environ().get("NNI_SYS_DIR", "")
        except psutil.Error:
            return False

    return list(filter(belongs, psutil.process_iter()))


def test_an_experiment_from_create_to_stop(write_config, free_port, tmp_path):
    banner = nnictl("create", "-c", write_config(), "-p", str(free_port))
    experiment_id = the_id()
    assert re.fullmatch(r"[0-9A-Za-z]{8}", experiment_id)
    assert banner.replace(experiment_id, "ID").replace(str(free_port), "PORT") == BANNER

    # The shell that created it is gone; its manager is not, and answers after the last trial has ended, too.
    wait_for(lambda: status() == "DONE", "DONE")
    assert httpx.get(f"http://127.0.0.1:{free_port}/api/v1/nni/check-status").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{free_port}/oview").status_code == 200

    rows = json.loads(nnictl("trial", "ls", "--json"))
    assert [(row["sequence"], row["status"]) for row in rows] == [(n, "SUCCEEDED") for n in range(4)]
    assert [row["value"] for row in json.loads(nnictl("trial", "ls", "--head", "2", "--json"))] == [4, 3]
    assert [row["value"] for row in json.loads(nnictl("trial", "ls", "--tail", "2", "--json"))] == [1, 2]
    assert rows[0]["id"] in nnictl("trial", "ls")

    shown = nnictl("experiment", "show", experiment_id[:5])
    assert "4/4" in shown
    assert "DONE" in shown
    profile = json.loads(nnictl("experiment", "show", "--json"))
    assert (profile["id"], profile["params"]["maxTrialNumber"]) == (experiment_id, 4)

    nnictl("experiment", "export", "-f", str(tmp_path / "a.json"), "--type", "json", "-i")
    records = json.loads((tmp_path / "a.json").read_text())
    assert sorted(record["value"] for record in records) == [1, 2, 3, 4]
    assert all(record["intermediate"] == [0, record["value"], 2 * record["value"]] for record in records)
    nnictl("experiment", "export", experiment_id, "--filename", str(tmp_path / "a.csv"), "--type", "csv")
    with (tmp_path / "a.csv").open(newline="") as stream:
        assert sorted(row["reward"] for row in csv.DictReader(stream)) == ["1", "2", "3", "4"]

    # What export wrote is what import takes (PLT-380).
    answer = httpx.post(f"http://127.0.0.1:{free_port}/api/v1/nni/experiment/import-data", json=records)
    assert answer.status_code == 200, answer.text

    log = Path(nnictl("log", "trial", "-T", rows[0]["id"]).strip())
    assert log.is_file()
    nnictl("stop", experiment_id)
    assert json.loads(nnictl("experiment", "list", "--json")) == []
    assert json.loads(nnictl("experiment", "list", "--all", "--json"))[0]["status"] == "STOPPED"


def test_stop_leaves_no_process_of_a_trial(write_config, free_port):
    nnictl("create", "-c", write_config(seconds=300), "-p", str(free_port))
    directory = ExperimentRegistry().get(the_id()).directory
    wait_for(lambda: len(processes_of(directory)) >= 4, "two trials with a child each")
    nnictl("stop")
    wait_for(lambda: not processes_of(directory), "the end of all trial processes")


def test_a_killed_manager_is_shown_stopped_and_resume_takes_its_trials_over(write_config, free_port):
    nnictl("create", "-c", write_config(seconds=6), "-p", str(free_port))
    entry = ExperimentRegistry().get(the_id())
    wait_for(lambda: len(processes_of(entry.directory)) >= 4, "two trials")
    trials = {process.pid for process in processes_of(entry.directory)}
    os.kill(entry.pid, signal.SIGKILL)
    wait_for(lambda: ExperimentRegistry().get(entry.id).status == "STOPPED", "STOPPED")
    assert "nnictl resume" in nnictl("trial", "kill", entry.id, "-T", "any", code=1)
    assert len(json.loads(nnictl("trial", "ls", entry.id, "--json"))) == 2  # as its database has them
    assert {process.pid for process in processes_of(entry.directory)} <= trials
    assert "a crash of its manager" in nnictl("experiment", "status", entry.id, stream="stderr")

    nnictl("resume", entry.id[:6], "--port", str(free_port))
    wait_for(lambda: status() == "DONE", "DONE")
    rows = json.loads(nnictl("trial", "ls", "--json"))
    assert [(row["sequence"], row["status"]) for row in rows] == [(n, "SUCCEEDED") for n in range(4)]


def test_two_experiments_side_by_side(write_config, free_port):
    path = write_config(seconds=300)
    nnictl("create", "-c", path, "-p", str(free_port))
    first = the_id()
    assert f"in use by experiment {first}" in nnictl("create", "-c", path, "-p", str(free_port), code=1)
    other_port = next(port for port in range(free_port + 1, 65536) if _is_free(port))
    nnictl("create", "-c", path, "-p", str(other_port))
    listed = {item["id"]: item["port"] for item in json.loads(nnictl("experiment", "list", "--json"))}
    assert sorted(listed.values()) == [free_port, other_port]
    assert first in nnictl("stop", code=1)
    nnictl("stop", "--port", str(other_port))
    assert [item["id"] for item in json.loads(nnictl("experiment", "list", "--json"))] == [first]


def test_of_two_created_at_once_on_one_port_exactly_one_runs(write_config, free_port):
    command = [sys.executable, "-c", PROGRAM, "create", "-c", write_config(seconds=300), "-p", str(free_port)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert str(free_port) in "".join(errors)
    assert ExperimentRegistry().get(the_id()).status != "STOPPED"  # and the other one has left nothing


def _is_free(port: int) -> bool:
    from nni.experiment._port import is_free

    return is_free(port)


def test_a_trial_is_killed_by_its_id(write_config, free_port):
    nnictl("create", "-c", write_config(seconds=300), "-p", str(free_port))
    wait_for(lambda: len(json.loads(nnictl("trial", "ls", "--json"))) >= 2, "two trials")
    trial = json.loads(nnictl("trial", "ls", "--json"))[0]["id"]
    nnictl("trial", "kill", "-T", trial)
    wait_for(lambda: json.loads(nnictl("trial", "ls", "--json"))[0]["status"] == "USER_CANCELED", "USER_CANCELED")
    assert "nosuch" in nnictl("trial", "kill", "-T", "nosuch", code=1)
    swapped = trial[:3] + trial[:2]
    assert f"did you mean {trial}" in nnictl("trial", "kill", "-T", swapped, code=1)


def test_the_log_of_a_trial_is_followed_until_it_ends(write_config, free_port):
    path = Path(write_config())
    waits = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\n"
    (path.parent / "trial.py").write_text(f"print('begin', flush=True)\n{waits}print('end')")
    nnictl("create", "-c", str(path), "-p", str(free_port))
    directory = ExperimentRegistry().get(the_id()).directory
    wait_for(lambda: list(directory.glob("trials/*/trial.log")), "a trial")
    trial = next(directory.glob("trials/*/trial.log")).parent.name
    command = [sys.executable, "-c", PROGRAM, "log", "trial", "-T", trial, "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begin\n"
        (path.parent / "go").touch()
        assert process.stdout.read() == "end\n"
    assert process.returncode == 0


def test_a_failed_trial_says_why_where_one_looks_first(write_config, free_port):
    path = Path(write_config())
    (path.parent / "trial.py").write_text("raise SystemExit('no data in /nowhere')")
    nnictl("create", "-c", str(path), "-p", str(free_port))
    wait_for(lambda: status() == "DONE", "DONE")
    shown = nnictl("experiment", "show")
    assert "failed (exit code 1: no data in /nowhere); see" in " ".join(shown.split())
    assert "Because" in shown
    assert "no data in /nowhere" in nnictl("trial", "ls", stream="stderr")


def test_a_trial_in_an_environment_without_nni_is_told_where_it_is(write_config, free_port):
    path = Path(write_config())
    command = f"trialCommand: \"{sys.executable} -I -S -c 'import nni'\""
    path.write_text(re.sub("trialCommand: .*", lambda _: command, path.read_text()))
    nnictl("create", "-c", str(path), "-p", str(free_port))
    wait_for(lambda: status() == "DONE", "DONE")
    (message, *_) = {trial["message"] for trial in json.loads(nnictl("trial", "ls", "--json"))}
    hint = f"for the Python of the trial command; nnictl has it: {sys.executable}"
    assert message == f"exit code 1: ModuleNotFoundError: No module named 'nni' {hint}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_prints_the_log_and_a_signal_stops_the_experiment(write_config, free_port, number):
    command = [sys.executable, "-c", PROGRAM, "create", "-c", write_config(seconds=300), "-p", str(free_port), "-f"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.match(r"\[\d{4}-\d\d-\d\d ", line):  # the manager's log, after the banner
            break
    process.send_signal(number)
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "Stopping experiment, please wait..." in rest
    printed = re.sub(r"\[\S+ \S+\] ", "", nnictl("log", "stdout", "-h", "3")).splitlines()
    assert printed[0].startswith(f"experiment {the_id()}: create (process ")
    assert printed[1:] == [
        f"port {free_port} of 127.0.0.1",
        f"log: {ExperimentRegistry().get(the_id()).directory / 'log' / 'nnimanager.log'}",
    ]
    assert nnictl("log", "stdout", "--tail", "1").endswith("] status: STOPPED\n")
    assert ExperimentRegistry().get(the_id()).status == "STOPPED"


def test_foreground_ends_when_the_experiment_is_stopped_from_elsewhere(write_config, free_port):
    command = [sys.executable, "-c", PROGRAM, "create", "-c", write_config(seconds=300), "-p", str(free_port), "-f"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("8. "):
            break
    nnictl("stop")
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    assert rest.endswith("Experiment stopped\n")


def test_a_url_prefix_is_used_by_all_commands(write_config, free_port):
    banner = nnictl("create", "-c", write_config(), "-p", str(free_port), "--url_prefix", "my/nni")
    assert f"http://127.0.0.1:{free_port}/my/nni" in banner
    wait_for(lambda: status() == "DONE", "DONE")


def test_on_an_open_address_the_token_is_required_and_commands_know_it(write_config, free_port):
    banner = nnictl("create", "-c", write_config(), "-p", str(free_port), "--host", "0.0.0.0")
    (url,) = re.findall(rf"http://127\.0\.0\.1:{free_port}\?token=\S+", banner)
    assert httpx.get(url.replace("?", "/api/v1/nni/check-status?")).status_code == 200
    assert httpx.get(f"http://127.0.0.1:{free_port}/api/v1/nni/check-status").status_code == 403
    wait_for(lambda: status() == "DONE", "DONE")


def test_a_wrong_config_names_the_key_and_leaves_nothing(write_config, free_port, home):
    path = write_config()
    Path(path).write_text(CONFIG.format(python=sys.executable).replace("trialConcurrency", "trialConcurency"))
    error = nnictl("create", "-c", path, "-p", str(free_port), code=1)
    assert "trialConcurency" in error
    assert "trialConcurrency" in error
    assert not (home / "nni-experiments").exists()


def test_the_schema_of_experiment_files_is_json(write_config, tmp_path):
    nnictl("config", "schema", "--output", str(tmp_path / "schema.json"))
    schema = json.loads((tmp_path / "schema.json").read_text())
    assert "trialCommand" in json.dumps(schema)
