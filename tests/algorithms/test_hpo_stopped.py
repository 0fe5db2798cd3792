"""What stopped trials showed: how they are imputed, what tuners make of it, and a real experiment with Medianstop."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import nni
from nni.algorithms import registry
from nni.algorithms.hpo._stopped import LEAST, StoppedTrials, imputed
from nni.algorithms.hpo.smac_tuner import SMACTuner
from nni.config import AlgorithmConfig, CustomAlgorithmConfig
from nni.runtime import constrained

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}
PAIRS = npst.arrays(float, st.tuples(st.integers(LEAST, 30), st.just(2)), elements=st.floats(-100, 100))


# ------------------------------------------------------------------------------------------------ imputation


@given(pairs=PAIRS, standings=st.lists(st.floats(-200, 200), min_size=2, max_size=2))
@settings(max_examples=60, deadline=None)
def test_a_stopped_trial_is_in_the_worse_half_no_worse_than_the_worst_and_ordered_by_where_it_stood(pairs, standings):
    better, worse = (imputed(standing, pairs) for standing in sorted(standings))
    assert np.median(pairs[:, 1]) <= better <= worse + 1e-9
    assert worse <= pairs[:, 1].max() + 1e-9


def test_where_curves_keep_their_order_the_loss_at_the_end_is_that_of_a_neighbour():
    standings = np.linspace(1, 2, 21)
    pairs = np.column_stack([standings, (standings - 1) * 10])
    assert imputed(1.8, pairs) == pytest.approx(8)
    assert imputed(1.1, pairs) == pytest.approx(5)  # the median: better trials are not stopped
    assert imputed(7.0, pairs) == pytest.approx(10)


def test_where_curves_cross_all_stopped_trials_are_alike():
    pairs = np.column_stack([np.arange(20.0), -np.arange(20.0)])
    assert imputed(3, pairs) == imputed(17, pairs)


def test_nothing_is_said_without_completed_trials_that_were_as_far():
    trials = StoppedTrials(1.0)
    for number in range(20):
        trials.reported(number, [number] if number < 16 else [number, number])
        trials.completed(number, number)
    trials.reported("short", [12])
    trials.reported("long", [12, 12])
    trials.reported("broken", [12, "text"])
    assert trials.stopped("short") == pytest.approx(12)
    assert [trials.stopped(key) for key in ("long", "broken", "silent")] == [math.inf] * 3


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_metrics_are_numbers_or_dicts_and_the_mode_mirrors_them(sign):
    trials = StoppedTrials(sign)
    for number in range(11):
        trials.reported(number, [{"default": sign * number}, sign * number])
        trials.completed(number, number)
    trials.reported("a", [0, {"default": sign * 8}])
    assert trials.stopped("a") == pytest.approx(8)


# ------------------------------------------------------------------------------------------------ tuners


def tell(tuner, told, stop, *, curves=True):
    """Tell of trials that were in between the best and the worst completed ones for a step, then stopped or not."""
    for number, (x, loss) in enumerate(told):
        tuner.remember(number, {"x": x})
        if curves:
            tuner.receive_intermediate_results(number, [loss + 1])
        if stop(x):
            tuner.trial_end(number, success=False)
        else:
            tuner.receive_trial_result(number, {"x": x}, loss)
            tuner.trial_end(number, success=True)


def suggestions(name, *, curves):
    tuner = registry.create(name, {"optimize_mode": "minimize", "seed": 4})
    tuner.update_search_space(SPACE)
    completed = [(x, 2 * x) for x in np.linspace(0.62, 1, 8)]
    stopped = [(x, 1.3 + abs(x - 0.45)) for x in np.linspace(0.02, 0.58, 9)]
    bad = [(x, 2.0 + 20 * (x - 1)) for x in (0.99, 0.995)]
    tell(tuner, [*completed, *bad, *stopped], lambda x: x < 0.6, curves=curves)
    found = []
    for number in range(100, 116):
        found.append(tuner.generate_parameters(number)["x"])
        tuner.canceled(number)
    return np.array(found)


@pytest.mark.parametrize("name", ["Auto", "GPTuner", "SMAC"])
def test_a_model_tells_stopped_trials_apart_by_how_they_did(name):
    """Of a region where all trials were stopped, the part where they stood better is looked at rather."""
    with_curves, without = suggestions(name, curves=True), suggestions(name, curves=False)
    assert not np.array_equal(with_curves, without)
    assert (with_curves < 0.25).sum() <= (without < 0.25).sum()


def test_constraints_do_not_stand_in_the_way():
    tuner = constrained(registry.create("SMAC", {"optimize_mode": "minimize", "seed": 1}), lambda c: c["x"] < 0.5)
    tuner.update_search_space(SPACE)
    numbers = []
    for number in range(8):
        parameters = tuner.generate_parameters(number)
        tuner.receive_intermediate_results(number, [number])
        tuner.receive_trial_result(number, parameters, number)
        tuner.trial_end(number, success=True)
        numbers.append(number)
    parameters = tuner.generate_parameters(8)
    tuner.receive_intermediate_results(8, [6])
    tuner.trial_end(8, success=False)
    assert tuner.tuner.sampler._history.losses[-1] == pytest.approx(6)


# ------------------------------------------------------------------------------------------------ experiment


def objective(config):
    loss = (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2
    for step in range(3):
        nni.report_intermediate_result(loss + 0.01 / (step + 1))
    if nni.get_sequence_id() >= 8 and loss > 0.1:
        time.sleep(2)  # for the assessor to make up its mind
    return loss


RECORDING = """
import json
from nni.algorithms.hpo.smac_tuner import SMACTuner

class Recording(SMACTuner):
    def keep(self, *what):
        with open("heard", "a") as file:
            file.write(json.dumps(what) + "\\n")
    def generate_parameters(self, parameter_id, **kwargs):
        found = super().generate_parameters(parameter_id, **kwargs)
        self.keep("generate_parameters", parameter_id, found)
        return found
    def receive_intermediate_results(self, parameter_id, values):
        self.keep("receive_intermediate_results", parameter_id, values)
        super().receive_intermediate_results(parameter_id, values)
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.keep("receive_trial_result", parameter_id, parameters, value)
        super().receive_trial_result(parameter_id, parameters, value)
    def trial_end(self, parameter_id, success, **kwargs):
        self.keep("trial_end", parameter_id, success)
        super().trial_end(parameter_id, success)
"""


def rerun(heard, *, curves):
    """Return what SMAC suggests when it hears what that of the experiment heard, in the same order."""
    tuner = SMACTuner("minimize", seed=7)
    tuner.update_search_space({"x": SPACE["x"], "y": SPACE["x"]})
    suggested = []
    for name, number, *arguments in heard:
        if name == "generate_parameters":
            suggested.append(tuner.generate_parameters(number))
        elif curves or name != "receive_intermediate_results":
            getattr(tuner, name)(number, *arguments)
    return suggested


@pytest.mark.slow
def test_an_experiment_with_medianstop_goes_on_from_what_its_stopped_trials_showed(isolated_home, tmp_path):
    (tmp_path / "recording.py").write_text(RECORDING)
    arguments = {"optimize_mode": "minimize", "seed": 7}
    result = nni.tune(
        objective,
        {"x": SPACE["x"], "y": SPACE["x"]},
        optimize_mode="minimize",
        tuner=CustomAlgorithmConfig(class_name="recording.Recording", code_directory=tmp_path, class_args=arguments),
        assessor=AlgorithmConfig(name="Medianstop"),
        max_trials=20,
    )
    assert [trial.status for trial in result.history].count("EARLY_STOPPED") >= 2
    heard = [json.loads(line) for line in (result.directory / "log" / "heard").read_text().splitlines()]
    made = [parameters for name, _, parameters, *_ in heard if name == "generate_parameters"]
    assert rerun(heard, curves=True) == made
    assert rerun(heard, curves=False) != made
