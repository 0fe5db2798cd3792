"""Auto: its choices, and that they are good ones."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from nni import NoMoreTrialError
from nni.algorithms import registry
from nni.algorithms._class_args import ClassArgsError
from nni.algorithms.hpo._auto import AutoSampler
from nni.algorithms.hpo._auto import _sampler as auto
from nni.algorithms.hpo.auto_tuner import AutoTuner
from nni.search_space import SearchSpaceError, parse
from nni.testing.tuner import TunerConformance

UNIT = {"_type": "uniform", "_value": [0, 1]}
FLAT = {"x": UNIT, "y": UNIT}
NESTED = {
    "model": {
        "_type": "choice",
        "_value": [
            {"_name": "easy", "a": UNIT},
            {
                "_name": "deep",
                "lr": {"_type": "loguniform", "_value": [1e-5, 1]},
                "n": {"_type": "randint", "_value": [1, 9]},
            },
            {"_name": "none"},
        ],
    }
}


class TestAuto(TunerConformance):
    def make(self, optimize_mode):
        return AutoTuner(optimize_mode, seed=3)


def search(tuner, space, objective, trials):
    tuner.update_search_space(space)
    losses = []
    for number in range(trials):
        parameters = tuner.generate_parameters(number)
        losses.append(objective(parameters))
        tuner.receive_trial_result(number, parameters, losses[-1])
        tuner.trial_end(number, success=True)
    return losses


def nested_loss(parameters):
    model = parameters["model"]
    if model["_name"] == "easy":
        return 0.2 + (model["a"] - 0.4) ** 2
    if model["_name"] == "deep":  # bad until it is tuned, then the best
        return (math.log10(model["lr"]) + 3) ** 2 + 0.2 * (model["n"] - 6) ** 2
    return 1.0


def test_the_choice_follows_from_results_and_running_trials(monkeypatch):
    monkeypatch.setattr(auto, "LONG", 20)
    monkeypatch.setattr(auto, "CROWD", 4)
    sampler, rng = AutoSampler(parse(FLAT), seed=0), np.random.default_rng(0)
    seen = []
    for number in range(24):
        seen.append(sampler.choose().algorithm)
        configuration = sampler.suggest(rng)
        sampler.start(number, configuration)
        sampler.stop(number)
        sampler.observe(configuration, configuration["x"])
    assert seen == ["Latin hypercube"] * 10 + ["Gaussian process"] * 10 + ["CMA-ES"] * 4

    crowded = AutoSampler(parse(FLAT), seed=0)
    for number in range(12):
        crowded.observe({"x": number / 12, "y": 0.5}, number)
    for number in range(8):
        crowded.start(number, crowded.suggest(rng))
    assert crowded.choose().algorithm == "Gaussian process and TPE in turn"


def test_a_long_run_over_branches_goes_on_with_tpe(monkeypatch):
    monkeypatch.setattr(auto, "LONG", 12)
    sampler, rng = AutoSampler(parse(NESTED), seed=0), np.random.default_rng(0)
    for number in range(14):
        configuration = sampler.suggest(rng)
        sampler.start(number, configuration)
        sampler.stop(number)
        sampler.observe(configuration, nested_loss(configuration))
    assert str(sampler.choose()) == (
        "TPE: more than 12 results; a long run over 4 variables, 1 of them choices, with branches"
    )


def test_the_log_and_the_note_say_what_is_used_once(caplog):
    caplog.set_level(logging.INFO)
    tuner = AutoTuner("minimize", seed=0)
    search(tuner, FLAT, lambda p: p["x"], 14)
    lines = [record.getMessage() for record in caplog.records if "Auto uses" in record.getMessage()]
    assert [line.split(":")[0] for line in lines] == ["Auto uses Latin hypercube", "Auto uses Gaussian process"]
    assert tuner.note == "Gaussian process: up to 1000 results, over 2 variables"


def test_a_resumed_long_run_goes_on_as_if_it_had_not_been_interrupted(monkeypatch):
    monkeypatch.setattr(auto, "LONG", 15)
    tuner, events = AutoTuner("minimize", seed=5), []
    tuner.update_search_space(FLAT)
    for number in range(30):
        parameters = tuner.generate_parameters(number)
        tuner.receive_trial_result(number, parameters, parameters["x"])
        tuner.trial_end(number, success=True)
        events += [
            {"kind": "parameters", "parameter_id": number, "parameters": parameters},
            {"kind": "result", "parameter_id": number, "value": parameters["x"]},
            {"kind": "end", "parameter_id": number, "event": "SUCCEEDED"},
        ]
    resumed = AutoTuner("minimize", seed=5)
    resumed.update_search_space(FLAT)
    resumed.replay(events)
    assert resumed.generate_multiple_parameters([30, 31, 32]) == tuner.generate_multiple_parameters([30, 31, 32])


def test_a_finite_space_is_tried_once_and_then_ends():
    space = {"a": {"_type": "choice", "_value": ["x", "y", "z"]}, "b": {"_type": "randint", "_value": [0, 5]}}
    tuner = AutoTuner("minimize", seed=0)
    tuner.update_search_space(space)
    seen = []
    for number in range(15):
        parameters = tuner.generate_parameters(number)
        seen.append(tuple(parameters.values()))
        if number % 2:
            tuner.receive_trial_result(number, parameters, parameters["b"])
        tuner.trial_end(number, success=bool(number % 2))
    assert len(set(seen)) == 15
    with pytest.raises(NoMoreTrialError):
        tuner.generate_parameters(15)


def test_suggestions_at_the_same_time_differ():
    tuner = AutoTuner("minimize", seed=0)
    search(tuner, FLAT, lambda p: (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2, 12)
    batch = tuner.generate_multiple_parameters(list(range(12, 18)))
    points = np.array([[one["x"], one["y"]] for one in batch])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() > 1e-4
    assert np.median(gaps) > 3e-3


@pytest.mark.slow
def test_a_branch_that_is_bad_until_it_is_tuned_is_found():
    for seed in range(3):
        assert min(search(AutoTuner("minimize", seed=seed), NESTED, nested_loss, 60)) < 0.05


@pytest.mark.slow
def test_beats_random_search_and_tpe_on_a_mixed_space():
    space = {
        "lr": {"_type": "loguniform", "_value": [1e-5, 1]},
        "layers": {"_type": "quniform", "_value": [1, 12, 1]},
        "kind": {"_type": "choice", "_value": ["a", "b", "c", "d"]},
        "drop": {"_type": "uniform", "_value": [0, 0.9]},
    }
    best_lr = {"a": -1, "b": -3, "c": -4, "d": -2}

    def loss(p):
        offset = {"a": 0.5, "b": 0.0, "c": 0.2, "d": 0.4}[p["kind"]]
        rate = math.log10(p["lr"]) - best_lr[p["kind"]]
        return offset + 0.5 * rate**2 + 0.03 * (p["layers"] - 7) ** 2 + (p["drop"] - 0.3) ** 2

    def median(name):
        runs = [
            search(registry.create(name, {"optimize_mode": "minimize", "seed": s}), space, loss, 45) for s in range(4)
        ]
        return float(np.median([min(run) for run in runs]))

    auto_best = median("Auto")
    assert auto_best < 0.2 * median("TPE")
    assert auto_best < 0.05 * median("Random")


@pytest.mark.parametrize("args", [{"seed": -1}, {"optimize_mode": "best"}, {"max_trials": 5}])
def test_wrong_arguments_are_refused(args):
    with pytest.raises(ClassArgsError, match=next(iter(args))):
        registry.create("Auto", args)


def test_types_of_custom_tuners_are_refused_by_name():
    with pytest.raises(SearchSpaceError, match=r"x.*exotic"):
        AutoTuner().update_search_space({"x": {"_type": "exotic", "_value": [1]}})
