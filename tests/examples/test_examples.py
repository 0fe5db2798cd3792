"""The examples do what their README says."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What needs a package of the examples is tried with that package, in tests/tools.
CONFIGS = sorted(path for path in EXAMPLES.rglob("config*.yml") if "custom_training_service" not in path.parts)
SCRIPTS = [path for name in ("trial.py", "main.py") for path in sorted(EXAMPLES.rglob(name))]


def relative(path: Path) -> str:
    return path.relative_to(EXAMPLES).as_posix()


def test_there_are_examples():
    assert len(CONFIGS) >= 6
    assert len(SCRIPTS) >= 6


@pytest.mark.parametrize("config", CONFIGS, ids=relative)
def test_every_config_can_be_started(config):
    from nni.config import load

    load(config).validate()


@pytest.mark.parametrize("script", SCRIPTS, ids=relative)
def test_every_trial_script_runs_by_hand(script):
    result = subprocess.run(
        [sys.executable, script.name], cwd=script.parent, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Final result: " in result.stdout


@pytest.fixture
def quickstart(monkeypatch):
    """Import a module of the quick start as its own scripts do."""
    monkeypatch.syspath_prepend(EXAMPLES / "quickstart")
    yield importlib.import_module
    for name in ("trial", "view", "launch"):
        sys.modules.pop(name, None)


def some_progress(view, count, running=2):
    params = {
        "learning_rate": 0.0449123,
        "n_estimators": 150.0,
        "max_depth": 5.0,
        "min_samples_leaf": 8.0,
        "subsample": 0.655,
        "max_features": 0.658,
        "loss": "absolute_error",
    }
    finished = [view.Trial(number, params, 0.3 + 0.1 * (number % 7) / 7) for number in range(count)]
    return view.Progress(40, 0.427, finished, dict.fromkeys(range(count, count + running), 3), seconds=30)


@pytest.mark.parametrize("count", [0, 1, 5, 39, 40])
def test_the_picture_fits_into_80_columns_and_24_lines(quickstart, count):
    view = quickstart("view")
    console = Console(width=80, height=24, record=True, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(view.live_view(some_progress(view, count), "title", "http://127.0.0.1:8080"))
    lines = captured.get().splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert any(f"{count}/40 trials" in line for line in lines)


def test_best_so_far_never_falls(quickstart):
    view = quickstart("view")
    best = some_progress(view, 20).best_so_far
    assert best == sorted(best)


def test_a_sparkline_has_a_bar_for_each_value_and_ends_high_where_the_last_is_best(quickstart):
    view = quickstart("view")
    assert view.sparkline([0.1, 0.2, 0.3, 0.4]) == "▁▁▄█"
    assert len(view.sparkline(list(range(500)), width=50)) == 50
    assert view.sparkline([0.5]) == "▁"
    assert view.sparkline([]) == ""


def test_the_defaults_of_the_quick_start_are_those_of_scikit_learn(quickstart):
    trial = quickstart("trial")
    untouched = type(trial.build_model(trial.DEFAULTS))().get_params()
    assert {name: untouched[name] for name in trial.DEFAULTS} == {**trial.DEFAULTS, "max_features": None}


def test_the_search_space_of_the_quick_start_covers_its_hyper_parameters(quickstart):
    space = json.loads((EXAMPLES / "quickstart" / "search_space.json").read_text())
    assert set(space) == set(quickstart("trial").DEFAULTS)


def test_the_tuner_of_ones_own_climbs(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES / "tuners" / "customized_tuner")
    tuner = importlib.import_module("demo_tuner").DemoTuner(step=0.15)
    tuner.random.seed(0)
    tuner.update_search_space(
        {"x": {"_type": "uniform", "_value": [-2, 2]}, "shape": {"_type": "choice", "_value": ["flat", "round"]}}
    )
    for number in range(60):
        params = tuner.generate_parameters(number)
        height = (params["shape"] == "round") - (params["x"] - 0.3) ** 2
        tuner.receive_trial_result(number, params, {"default": height})
    assert tuner.best[0] > 0.99


@pytest.mark.slow
def test_the_quick_start_tunes_and_compares(isolated_home, free_port):
    result = subprocess.run(
        [sys.executable, "launch.py", "--trials", "4", "--port", str(free_port)],
        cwd=EXAMPLES / "quickstart",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4/4  trial" in result.stdout
    assert "R², cross-validation" in result.stdout
    assert "0.427" in result.stdout  # scikit-learn's defaults


@pytest.mark.slow
@pytest.mark.parametrize("example", ["tuners/customized_tuner", "trials/batch"])
def test_an_example_runs_to_its_end_under_nnictl(isolated_home, free_port, example):
    config = EXAMPLES / example / "config.yml"
    nnictl("create", "--config", str(config), "--port", str(free_port))
    deadline = time.monotonic() + 240
    while json.loads(nnictl("experiment", "status", "--json"))["status"] not in ("DONE", "ERROR"):
        assert time.monotonic() < deadline, nnictl("experiment", "show")
        time.sleep(0.5)
    trials = json.loads(nnictl("trial", "ls", "--json"))
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
    assert len(trials) == {"tuners/customized_tuner": 30, "trials/batch": 5}[example]
    nnictl("stop")


def nnictl(*arguments: str) -> str:
    command = [sys.executable, "-c", "from nni.tools.nnictl.entry import main; main()", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_example_of_a_function_finds_a_good_classifier(isolated_home):
    done = subprocess.run(
        [sys.executable, "tune.py"], cwd=EXAMPLES / "functions", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = next(line for line in done.stdout.splitlines() if line.startswith("TuneResult(DONE, 30 trials, best "))
    assert float(found.split("best ")[1].split()[0]) > 0.8
