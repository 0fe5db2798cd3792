"""Every algorithm by its documented name, through a real experiment."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nni.experiment import Experiment

pytestmark = pytest.mark.slow

TRIAL = """
import time
import nni
p = nni.get_next_parameter()
score = (p["x"] - 0.3) ** 2 + (0 if p.get("k", "good") == "good" else 1) + p.get("layer", {}).get("width", 0)
for step in range(3):
    nni.report_intermediate_result(score)
nni.report_final_result(score)
"""
SLOW_WHEN_BAD = """
import time
import nni
x = nni.get_next_parameter()["x"]
for step in range(4):
    nni.report_intermediate_result(x)
    if x < 0:
        time.sleep(0.5 if step < 3 else 600)
nni.report_final_result(x)
"""
X = {"_type": "uniform", "_value": [0, 1]}
K = {"_type": "choice", "_value": ["good", "bad"]}
LAYER = {
    "_type": "choice",
    "_value": [{"_name": "none"}, {"_name": "dense", "width": {"_type": "quniform", "_value": [1, 3, 1]}}],
}
GRID = {"x": {"_type": "quniform", "_value": [0, 1, 0.5]}, "k": K}
BATCH = {"combine_params": {"_type": "choice", "_value": [{"x": 0.3}, {"x": 0.1}, {"x": 0.2}]}}


def run(folder: Path, port: int, trial: str, space: dict[str, Any], **settings: Any) -> Experiment:
    (folder / "trial.py").write_text(trial)
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = space
    config.trial_command = "python3 trial.py"
    config.trial_code_directory = folder
    config.trial_concurrency = 2
    for name, value in settings.items():
        setattr(config, name, value)
    assert experiment.run(port), experiment.get_status()
    return experiment


@pytest.mark.parametrize(
    ("tuner", "space", "trials"),
    [
        ("TPE", {"x": X, "k": K, "layer": LAYER}, 16),
        ("Auto", {"x": X, "k": K, "layer": LAYER}, 14),
        ("GPTuner", {"x": X, "layer": LAYER}, 14),
        ("CMAES", {"x": X, "k": K, "layer": LAYER}, 14),
        ("Random", {"x": X, "k": K, "layer": LAYER}, 8),
        ("GridSearch", GRID, 6),
        ("BatchTuner", BATCH, 3),
    ],
)
def test_a_tuner_runs_by_its_documented_name(
    isolated_home: Path, tmp_path: Path, free_port: int, tuner: str, space: dict[str, Any], trials: int
):
    # Grid and batch end by themselves; the others at the limit.
    limit = 50 if tuner in {"GridSearch", "BatchTuner"} else trials
    experiment = run(tmp_path, free_port, TRIAL, space, tuner={"name": tuner}, max_trial_number=limit)
    results = experiment.export_data()
    assert len(results) == trials
    for result in results:
        expected = (result.parameter["x"] - 0.3) ** 2 + (result.parameter.get("k", "good") != "good")
        expected += result.parameter.get("layer", {}).get("width", 0)
        assert result.value == expected
    if tuner == "GridSearch":
        assert len({(result.parameter["x"], result.parameter["k"]) for result in results}) == 6


def test_medianstop_stops_a_trial_that_is_worse_than_the_median(isolated_home: Path, tmp_path: Path, free_port: int):
    values = [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}, {"x": -1.0}]
    experiment = run(
        tmp_path,
        free_port,
        SLOW_WHEN_BAD,
        {"combine_params": {"_type": "choice", "_value": values}},
        tuner={"name": "BatchTuner"},
        assessor={"name": "Medianstop", "class_args": {"optimize_mode": "maximize", "start_step": 2}},
    )
    statuses = Counter(job.status for job in experiment.list_trial_jobs())
    assert statuses == {"SUCCEEDED": 3, "EARLY_STOPPED": 1}


def test_without_a_tuner_auto_searches_within_the_constraints_and_says_what_it_uses(
    isolated_home: Path, tmp_path: Path, free_port: int
):
    space = {"x": X, "k": K, "layer": LAYER}
    constraints = ["x < 0.5 or k == 'good'", "layer.width <= 2"]
    experiment = run(tmp_path, free_port, TRIAL, space, constraints=constraints, max_trial_number=14)
    results = experiment.export_data()
    assert len(results) == 14
    for result in results:
        assert result.parameter["x"] < 0.5 or result.parameter["k"] == "good"
        assert result.parameter["layer"].get("width", 0) <= 2
    logs = list(isolated_home.glob("nni-experiments/*/log/dispatcher.log"))
    assert "Auto uses Gaussian process: up to 1000 results, over 4 variables" in logs[0].read_text()


def test_without_a_tuner_the_default_one_searches_in_the_direction_that_the_experiment_says(
    isolated_home: Path, tmp_path: Path, free_port: int
):
    settings = {"optimize_mode": "minimize", "max_trial_number": 16, "trial_concurrency": 1}
    experiment = run(tmp_path, free_port, TRIAL, {"x": X}, **settings)
    results = experiment.export_data()
    late = [result.parameter["x"] for result in results[12:]]
    assert min(abs(x - 0.3) for x in late) < 0.02  # maximising, they would all be at 1
    assert experiment.best.value == min(result.value for result in results)
