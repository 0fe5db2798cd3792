"""Which trial is the best: as the algorithms were told, and of budgets the largest."""

from __future__ import annotations

import contextlib
import json
import random

import pytest

from nni.experiment.queries import Queries
from nni.store import Batch, Profile, Reader, Store, Trial, TrialStatus


@pytest.fixture
def best(tmp_path):
    """Return a function that says which of some succeeded trials is the best, under a configuration."""

    def find(config, *trials):
        (tmp_path / "db").mkdir()
        batch = Batch(profile=(profile := Profile("egchD4qy", config)))
        for sequence, (value, parameters) in enumerate(trials):
            text = parameters if isinstance(parameters, str) else json.dumps(parameters)
            status = TrialStatus.SUCCEEDED if value is not None else TrialStatus.FAILED
            batch.trials[sequence] = Trial(
                f"t{sequence}", sequence, sequence, "algorithm", text, status, final=str(value), value=value
            )
        with contextlib.closing(Store(tmp_path / "db" / "nni.sqlite")) as store:
            store.commit(batch)
        queries = Queries(tmp_path, profile)
        with contextlib.closing(queries.reader):
            found = queries.best()
        return queries.maximize, found and found["value"]

    return find


RESULTS = [(value, {"x": value}) for value in (2, 1, 3)]


def algorithm(mode=None, **rest):
    return {**rest, "classArgs": {"optimize_mode": mode} if mode else {}}


@pytest.mark.parametrize(
    ("config", "maximize"),
    [
        ({}, True),
        ({"tuner": algorithm(name="TPE")}, True),
        ({"tuner": algorithm("minimize", name="TPE")}, False),
        ({"advisor": algorithm("minimize", name="BOHB")}, False),
        ({"tuner": algorithm(name="GridSearch"), "assessor": algorithm("minimize", name="Medianstop")}, False),
        ({"tuner": {"name": "BatchTuner"}, "assessor": algorithm("maximize", name="Medianstop")}, True),
        ({"tuner": algorithm(className="my.Tuner"), "optimizeMode": "minimize"}, False),
        ({"tuner": algorithm("maximize", name="TPE"), "assessor": {"name": "Medianstop"}}, True),
    ],
)
def test_it_is_what_the_algorithms_look_for(best, config, maximize):
    assert best(config, *RESULTS) == (maximize, 3 if maximize else 1)


def budget(value, size):
    return value, {"x": 0, "TRIAL_BUDGET": size}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("maximize", 0.7), ("minimize", 0.6)],
)
def test_of_an_advisor_it_has_the_largest_budget(best, mode, expected):
    config = {"advisor": algorithm(mode, name="Hyperband")}
    trials = [budget(0.9, 1), budget(0.1, 3), budget(0.6, 9), budget(0.7, 9), budget(None, 27)]
    assert best(config, *trials)[1] == expected


def test_budgets_are_numbers_and_what_has_none_comes_last(best):
    trials = [(5, {"x": 0}), (6, '{"x": NaN}'), budget(1, 9), budget(0.5, 10), budget(0.4, 9.5)]
    assert best({"advisor": {"className": "my.Advisor"}}, *trials)[1] == 0.5


def test_an_advisor_without_budgets_is_ranked_by_its_results(best):
    assert best({"advisor": {"className": "my.Advisor"}}, *RESULTS)[1] == 3


def test_a_parameter_of_a_tuner_is_no_budget(best):
    assert best({"tuner": {"name": "TPE"}}, budget(0.9, 1), budget(0.1, 3))[1] == 0.9


def test_without_results_there_is_none(best, tmp_path):
    assert best({"advisor": {"name": "ASHA"}}, budget(None, 1)) == (True, None)
    with contextlib.closing(Reader(tmp_path / "db" / "nni.sqlite")) as reader:
        assert reader.best_of_largest_budget(maximize=False) is None


@pytest.mark.parametrize("mode", ["maximize", "minimize"])
def test_what_is_asked_again_and_again_is_the_same_as_asked_afresh(tmp_path, mode):
    directory = tmp_path / "EXPERIME"
    (directory / "db").mkdir(parents=True)
    config = {"advisor": algorithm(mode, name="Hyperband")}
    random_ = random.Random(5)
    with contextlib.closing(Store(directory / "db" / "nni.sqlite")) as store:
        profile = Profile("EXPERIME", config, start_time=1)
        store.commit(Batch({}, [], [], profile))
        asked = Queries(directory, profile)
        for number in range(60):
            ended = random_.choice([TrialStatus.SUCCEEDED, TrialStatus.SUCCEEDED, TrialStatus.FAILED])
            value = random_.choice([1.0, 2.0, 3.0, None]) if ended is TrialStatus.SUCCEEDED else None
            parameters = json.dumps({"x": 0, "TRIAL_BUDGET": random_.choice([1, 3, 9])})
            trial = Trial(
                f"t{number}", number, number, "algorithm", parameters, ended, "", 1, 1, 2, 0, None, 0,
                None if value is None else str(value), value,
            )  # fmt: skip
            store.commit(Batch({number: trial}, [], [], profile))
            fresh = Queries(directory, profile)
            assert asked.best() == fresh.best()
            fresh.reader.close()
        asked.reader.close()
