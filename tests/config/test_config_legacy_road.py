"""Experiments from files of NNI 1.x, with the real manager, dispatcher and trials."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"
TRIAL = """
import time, nni
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x + 1000)
if {stops}:
    time.sleep(60)  # the assessor ends it
nni.report_final_result(x)
"""
TUNER = """
from pathlib import Path
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
        with Path(__file__).with_name("heard").open("a") as stream:
            stream.write(f"{parameters['x']} {value}\\n")
"""
ASSESSOR = """
from nni.assessor import Assessor, AssessResult

class Strict(Assessor):
    def assess_trial(self, trial_job_id, trial_history):
        return AssessResult.Bad
"""
OLD = """
authorName: default
experimentName: road
trialConcurrency: 2
maxExecDuration: 1h
maxTrialNum: 4
trainingServicePlatform: local
searchSpacePath: space.json
tuner: {codeDir: ., classFileName: counting.py, className: Counting}
trial: {command: PYTHON trial.py, codeDir: ., gpuNum: 0}
"""
NEW = """
experimentName: road
trialConcurrency: 2
maxExperimentDuration: 1h
maxTrialNumber: 4
searchSpaceFile: space.json
tuner: {codeDirectory: ., className: counting.Counting}
trialCommand: PYTHON trial.py
trialGpuNumber: 0
trainingService: {platform: local}
"""


def nnictl(*arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def finish(directory: Path):
    """Run an experiment to its end, and return its status, the statuses of its trials, and what its tuner heard."""
    (directory / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 100]}}')
    (directory / "counting.py").write_text(TUNER)
    (directory / "strict.py").write_text(ASSESSOR)

    def run(config: str, *, stops: bool = False) -> tuple[str, list[str], list[str]]:
        (directory / "trial.py").write_text(TRIAL.format(stops=stops))
        (directory / "config.yml").write_text(config.replace("PYTHON", sys.executable))
        (directory / "heard").write_text("")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        nnictl("create", "--config", str(directory / "config.yml"), "--port", port)
        for _ in range(600):
            if (status := json.loads(nnictl("experiment", "status", "--json"))["status"]) == "DONE":
                break
            time.sleep(0.1)
        trials = [trial["status"] for trial in json.loads(nnictl("trial", "ls", "--json"))]
        assert json.loads(nnictl("experiment", "show", "--json"))["params"]["maxTrialNumber"] == 4
        nnictl("stop")
        return status, trials, sorted((directory / "heard").read_text().splitlines())

    yield run
    nnictl("stop", "--all")


def test_the_same_experiment_in_both_schemas_comes_to_the_same(finish):
    """PLT-410."""
    old = finish(OLD)
    assert old == ("DONE", ["SUCCEEDED"] * 4, ["1 1", "2 2", "3 3", "4 4"])
    assert finish(NEW) == old


STRICT = "assessor: {codeDir: ., classFileName: strict.py, className: Strict}\n"


def test_intermediate_results_count_where_the_file_says_so(finish):
    """PLT-134: what a trial reported last before the assessor stopped it is its result."""
    told = OLD.replace("className: Counting", "className: Counting, includeIntermediateResults: true")
    assert finish(told + STRICT, stops=True) == (
        "DONE",
        ["EARLY_STOPPED"] * 4,
        ["1 1001", "2 1002", "3 1003", "4 1004"],
    )


def test_intermediate_results_do_not_count_otherwise(finish):
    assert finish(OLD + STRICT, stops=True) == ("DONE", ["EARLY_STOPPED"] * 4, [])
