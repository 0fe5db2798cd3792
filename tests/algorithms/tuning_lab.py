"""Problems with known answers, and a way to run a tuner on them or through a real experiment."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.experiment import Experiment
from nni.tuner import Tuner

BRANIN = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}
MIXED = {
    "rate": {"_type": "loguniform", "_value": [1e-5, 1]},
    "width": {"_type": "quniform", "_value": [1, 64, 1]},
    "shift": {"_type": "normal", "_value": [0, 2]},
    "kind": {"_type": "choice", "_value": ["a", "b", "c"]},
    "layers": {"_type": "randint", "_value": [1, 9]},
}
NESTED = {
    "model": {
        "_type": "choice",
        "_value": [
            {"_name": "linear", "slope": {"_type": "uniform", "_value": [-3, 3]}},
            {
                "_name": "round",
                "radius": {"_type": "uniform", "_value": [0, 10]},
                "centre": {"_type": "uniform", "_value": [-5, 5]},
            },
            {"_name": "none"},
        ],
    }
}


def branin(p: dict[str, Any]) -> float:
    """HPO-433, with the minimum moved to 0."""
    x, y = p["x"], p["y"]
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


def mixed(p: dict[str, Any]) -> float:
    """The minimum is 0, at rate 0.01, width 20, shift 1, kind b, layers 4."""
    rate = (math.log10(p["rate"]) + 2) ** 2
    numbers = ((p["width"] - 20) / 20) ** 2 + (p["shift"] - 1) ** 2 / 2 + ((p["layers"] - 4) / 3) ** 2
    return rate + numbers + {"a": 1.0, "b": 0.0, "c": 2.0}[p["kind"]]


def nested(p: dict[str, Any]) -> float:
    """The minimum is 0, with the round model at radius 7 and centre -2."""
    model = p["model"]
    if model["_name"] == "linear":
        return 2 + abs(model["slope"] - 1)
    if model["_name"] == "round":
        return ((model["radius"] - 7) ** 2) / 4 + (model["centre"] + 2) ** 2 / 4
    return 4.0


PROBLEMS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], float]]] = {
    "branin": (BRANIN, branin),
    "mixed": (MIXED, mixed),
    "nested": (NESTED, nested),
}


def best_loss(tuner: Tuner, problem: str, trials: int) -> float:
    """Run a minimising tuner, one trial after the other."""
    space, loss = PROBLEMS[problem]
    tuner.update_search_space(space)
    losses = []
    for number in range(trials):
        configuration = tuner.generate_parameters(number)
        losses.append(loss(configuration))
        tuner.receive_trial_result(number, configuration, losses[-1])
        tuner.trial_end(number, success=True)
    return min(losses)


def median_best(make: Callable[[int], Tuner], problem: str, trials: int, seeds: int = 9) -> float:
    return median(best_loss(make(seed), problem, trials) for seed in range(seeds))


def random_best(problem: str, trials: int, seeds: int = 9) -> float:
    return median_best(lambda seed: HyperoptTuner("random_search", "minimize", seed=seed), problem, trials, seeds)


def experiment(folder: Path, port: int, trial: str, space: dict[str, Any] | None, **settings: Any) -> Experiment:
    """Run an experiment to its end."""
    (folder / "trial.py").write_text(trial)
    made = Experiment("local")
    config = made.config
    config.search_space = space
    config.trial_command = "python3 trial.py"
    config.trial_code_directory = folder
    config.trial_concurrency = 2
    for name, value in settings.items():
        setattr(config, name, value)
    assert made.run(port), made.get_status()
    return made
