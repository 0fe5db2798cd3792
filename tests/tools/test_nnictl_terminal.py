"""What is shown when a person watches, in a real terminal: ``--foreground``, ``run()``, ``top``."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TUNER = """
from nni.tuner import Tuner

class Counting(Tuner):
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        return {"x": parameter_id + 0.5}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass
"""
TRIAL = """
import pathlib, time, nni
x = nni.get_next_parameter()["x"]
time.sleep(0.5)
while pathlib.Path("hold").exists():
    time.sleep(0.02)
nni.report_final_result(x)
"""
RUN = """
import sys
from nni.experiment import Experiment
experiment = Experiment("local")
config = experiment.config
config.trial_command = sys.executable + " trial.py"
config.trial_concurrency, config.max_trial_number = 1, 3
config.search_space = {"x": {"_type": "uniform", "_value": [0, 9]}}
config.tuner.class_name, config.tuner.code_directory = "counting.Counting", "."
print("returned", experiment.run(int(sys.argv[1])))
"""
CONFIG = """
searchSpace: {{x: {{_type: uniform, _value: [0, 9]}}}}
trialCommand: {python} trial.py
trialConcurrency: 1
maxTrialNumber: 3
tuner: {{className: counting.Counting, codeDirectory: .}}
trainingService: {{platform: local}}
"""
NNICTL = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


@pytest.fixture
def folder(home):
    (home / "trial.py").write_text(TRIAL)
    (home / "counting.py").write_text(TUNER)
    (home / "run.py").write_text(RUN)
    (home / "config.yml").write_text(CONFIG.format(python=sys.executable))
    return home


def watch(command, folder, until: str | None = None, key: bytes | None = None, held_until: str = "") -> str:
    """Run a command in a terminal and return what it wrote there; a key, or Ctrl-C, once a text has appeared.

    Trials that are held go on once another text has appeared.
    """
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = ""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so at the end of a terminal's output
            break
        seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", chunk.decode(errors="replace"))
        if held_until in seen:
            (folder / "hold").unlink(missing_ok=True)
        if until is not None and until in seen:
            os.write(master, key) if key else process.send_signal(signal.SIGINT)
            until = None
    os.close(master)
    assert process.wait(60) == 0, seen
    return seen


def test_run_shows_progress_and_the_best_so_far(folder, free_port):
    seen = watch([sys.executable, "run.py", str(free_port)], folder)
    assert "1 running" in seen
    assert re.search(r"3/3, best 2\.5 \(\w{5}\)", seen)
    assert seen.rstrip().endswith("returned True")


def test_foreground_shows_log_and_live_status_until_ctrl_c(folder, free_port):
    command = [sys.executable, "-c", NNICTL, "create", "-c", "config.yml", "-p", str(free_port), "--foreground"]
    seen = watch(command, folder, until="DONE  trials 3/3")
    assert re.search(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] INFO", seen)
    assert re.search(r"best 2\.5 \(\w{5}\)", seen)
    assert "Stopping experiment, please wait..." in seen


@pytest.fixture
def held(folder):
    """Let trials wait until the one who watches has seen them."""
    (folder / "hold").touch()


@pytest.fixture
def experiment(folder, free_port):
    """A real experiment of three trials; its id."""
    command = [sys.executable, "-c", NNICTL, "create", "-c", "config.yml", "-p", str(free_port)]
    banner = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
    (found,) = re.findall(r"The experiment id is (\w+)", banner)
    yield found
    subprocess.run([sys.executable, "-c", NNICTL, "stop", "--all"], capture_output=True, check=True, timeout=90)


@pytest.mark.parametrize("key", [None, b"q"], ids=["Ctrl-C", "q"])
@pytest.mark.usefixtures("held")
def test_top_follows_an_experiment_until_it_is_left(folder, key, request):
    experiment = request.getfixturevalue("experiment")  # after its trials are held
    command = [sys.executable, "-c", NNICTL, "top", "-t", "0.2"]
    seen = watch(command, folder, until="3/3", key=key, held_until="0/3")
    assert "1 experiment running" in seen
    assert experiment in seen
    assert re.search(r"[012]/3", seen)
    assert "maxTrialNumber (3) is reached" in seen


def test_top_of_an_experiment_ends_when_it_is_stopped(folder, experiment):
    command = [sys.executable, "-c", NNICTL, "top", experiment[:6], "-t", "0.2"]
    stop = f"sleep 2; exec {sys.executable} -c {NNICTL!r} stop"
    stopping = subprocess.Popen(["bash", "-c", stop], stdout=subprocess.DEVNULL, start_new_session=True)
    seen = watch(command, folder)
    assert stopping.wait(90) == 0
    assert f"Experiment {experiment} is not running any more" in seen
