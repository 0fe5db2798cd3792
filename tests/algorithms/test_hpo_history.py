"""What model-based tuners share: rows, failures, repetitions, conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nni.algorithms.hpo._history import History
from nni.algorithms.hpo.dngo_tuner import DNGOTuner
from nni.algorithms.hpo.metis_tuner import MetisTuner
from nni.algorithms.hpo.smac_tuner import SMACTuner
from nni.search_space import TYPES, contains, parse
from nni.testing.tuner import ENTRIES, NESTED

FINITE = {"a": {"_type": "randint", "_value": [0, 30]}, "b": {"_type": "choice", "_value": [1, 2, 1]}}


def test_rows_are_in_the_unit_box_and_come_back_as_configurations_of_the_space():
    space = parse({**{kind: ENTRIES[kind] for kind in TYPES}, **NESTED})
    history = History(space)
    rows = history.draw(200, np.random.default_rng(0))
    numeric = rows[:, history.options == 0]
    assert np.nanmin(numeric) >= 0
    assert np.nanmax(numeric) <= 1
    assert all(contains(space, history.configuration(row)) for row in rows)
    assert history.snap(rows) == pytest.approx(rows, abs=1e-6, nan_ok=True)


def test_failures_are_as_bad_as_the_worst_result():
    history = History(parse(FINITE))
    assert not history.has_result
    for a, loss in enumerate([3.0, math.inf, math.nan, -1.0, -math.inf]):
        history.observe({"a": a, "b": 1}, loss)
    assert history.losses.tolist() == [3.0, 3.0, 3.0, -1.0, 3.0]
    assert history.has_result


def test_running_trials_are_rows_until_they_stop():
    history = History(parse(FINITE))
    history.start("one", {"a": 4, "b": 2})
    history.start("two", {"a": 5, "b": 1})
    history.stop("one")
    assert [history.configuration(row) for row in history.running] == [{"a": 5, "b": 1}]
    assert not history.is_fresh({"a": 4, "b": 2})  # it was tried


def test_equal_options_are_one_configuration():
    history = History(parse(FINITE))
    seen = set()
    for number in range(60):
        configuration = history.fresh_draw(np.random.default_rng(number))
        history.observe(configuration, 1.0)
        seen.add((configuration["a"], configuration["b"]))
    assert len(seen) == 60
    assert history.is_exhausted


@pytest.mark.parametrize("make", [SMACTuner, MetisTuner, DNGOTuner])
def test_a_condition_between_parameters_is_kept(make):
    tuner = make(
        "minimize", seed=0, **({"trials_per_update": 5, "num_epochs_per_training": 20} if make is DNGOTuner else {})
    )
    tuner.constrain(lambda c: c["x"] + c["y"] < 1)
    x = {"_type": "uniform", "_value": [0, 1]}
    tuner.update_search_space({"x": x, "y": x})
    for number in range(18):
        configuration = tuner.generate_parameters(number)
        assert configuration["x"] + configuration["y"] < 1
        tuner.receive_trial_result(number, configuration, -configuration["x"] - configuration["y"])


@pytest.mark.parametrize("make", [SMACTuner, MetisTuner, DNGOTuner])
def test_the_few_allowed_of_many_configurations_are_found(make):
    tuner = make("minimize", seed=0)
    tuner.constrain(lambda c: c["n"] in {77, 4000})
    tuner.update_search_space({"n": {"_type": "randint", "_value": [0, 5000]}})
    assert {tuner.generate_parameters(number)["n"] for number in range(2)} == {77, 4000}
