"""Constraints that are functions, from the config or the program to the trials."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

import nni
from nni.common.errors import NniError
from nni.experiment import Experiment

LAYERS = {"_type": "randint", "_value": [1, 9]}
SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1]},
    "model": {"_type": "choice", "_value": [{"_name": "plain"}, {"_name": "deep", "layers": LAYERS}]},
}
RULES = """
def shallow(config):
    return config["model"].get("layers", 0) < 4
"""
PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


def layers(config):
    return config["model"].get("layers", 0)


@pytest.mark.slow
def test_nnictl_create_keeps_to_a_function_of_a_module_and_to_an_expression(home: Path, tmp_path: Path, free_port: int):
    code = tmp_path / "project"
    code.mkdir()
    (code / "rules.py").write_text(RULES)
    (code / "trial.py").write_text("import nni; nni.report_final_result(nni.get_next_parameter()['x'])")
    config = {
        "searchSpace": SPACE,
        "constraints": ["x < 0.5", {"function": "rules.shallow"}],
        "trialCommand": f"{sys.executable} trial.py",
        "trialConcurrency": 2,
        "maxTrialNumber": 13,
        "tuner": {"name": "TPE", "classArgs": {"seed": 2}},
        "trainingService": {"platform": "local"},
    }
    (code / "config.yml").write_text(json.dumps(config))

    def nnictl(*arguments: str) -> None:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)

    nnictl("create", "-c", str(code / "config.yml"), "-p", str(free_port))
    try:
        url = f"http://127.0.0.1:{free_port}/api/v1/nni"
        deadline = time.monotonic() + 120
        while httpx.get(f"{url}/summary", trust_env=False).json()["status"] != "DONE":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        jobs = httpx.get(f"{url}/trial-jobs", trust_env=False).json()
    finally:
        nnictl("stop", "--all")
    tried = [json.loads(job["hyperParameters"][0])["parameters"] for job in jobs]
    assert len(tried) == 13
    assert all(each["x"] < 0.5 and layers(each) < 4 for each in tried)
    assert {each["model"]["_name"] for each in tried} == {"plain", "deep"}


@pytest.mark.slow
def test_a_lambda_holds_for_nni_tune_and_for_the_experiment_that_is_resumed(home: Path, free_port: int):
    most = 4
    result = nni.tune(
        layers, SPACE, constraints=["x < 0.5", lambda c: layers(c) < most], max_trials=12, tuner="Random", seed=1
    )
    assert [layers(trial.config) < most and trial.config["x"] < 0.5 for trial in result.history] == [True] * 12
    assert result.best_score == most - 1
    resumed = Experiment.resume(result.id, free_port, wait_completion=False)
    try:
        resumed.update_max_trial_number(24)
        deadline = time.monotonic() + 60
        while len(resumed.export_data()) < 24:
            assert time.monotonic() < deadline, resumed.get_status()
            time.sleep(0.05)
        found = [each.parameter for each in resumed.export_data()]
        assert [layers(each) < most and each["x"] < 0.5 for each in found] == [True] * 24
    finally:
        resumed.stop()


def test_what_cannot_go_to_another_process_is_named_before_anything_starts(home: Path):
    lock = threading.Lock()
    with pytest.raises(NniError, match=r"constraints\[1\] cannot be sent to the tuner's process: the variable 'lock'"):
        nni.tune(layers, SPACE, constraints=["x < 1", lambda c: lock.locked()], max_trials=2)
    assert not list(home.glob("nni-experiments/[!.]*"))


@pytest.mark.parametrize("given", ["x < 1", layers])
def test_a_constraint_that_is_not_in_a_list_is_refused(given):
    with pytest.raises(NniError, match=r"constraints: expected a list, got "):
        nni.tune(layers, SPACE, constraints=given, max_trials=2)
