"""Grid search and the batch tuner: everything once, in order, and then no more."""

from __future__ import annotations

import inspect

import pytest

from nni.algorithms.hpo.batch_tuner import BatchTuner
from nni.algorithms.hpo.gridsearch_tuner import GridSearchTuner
from nni.common.errors import NniError, NoMoreTrialError
from nni.search_space import SearchSpaceError, json_key

MIXED = {
    "a": {"_type": "choice", "_value": [1, 2]},
    "b": {"_type": "quniform", "_value": [2, 10, 5]},
    "c": {"_type": "randint", "_value": [0, 2]},
}


def batch(*configurations):
    return {"combine_params": {"_type": "choice", "_value": list(configurations)}}


def started(tuner, space):
    tuner.update_search_space(space)
    return tuner


def drain(tuner, first=0):
    found = []
    while True:
        try:
            found.append(tuner.generate_parameters(first + len(found)))
        except NoMoreTrialError:
            return found


# ------------------------------------------------------------------------------------------------ grid


def test_a_grid_has_every_combination_once():
    found = drain(started(GridSearchTuner(), MIXED))
    assert len({json_key(configuration) for configuration in found}) == len(found) == 12
    assert {configuration["b"] for configuration in found} == {2, 5, 10}
    assert {configuration["c"] for configuration in found} == {0, 1}


def test_after_the_last_point_there_are_no_more_trials():
    tuner = started(GridSearchTuner(), MIXED)
    assert len(tuner.generate_multiple_parameters(list(range(20)))) == 12
    assert tuner.generate_multiple_parameters([20]) == []
    with pytest.raises(NoMoreTrialError):
        tuner.generate_parameters(21)


def test_a_nested_grid_is_the_sum_over_branches():
    kernel = {"_type": "choice", "_value": [1, 3, 5]}
    options = [{"_name": "empty"}, {"_name": "conv", "kernel": kernel}, {"_name": "pool", "size": MIXED["a"]}]
    found = drain(started(GridSearchTuner(), {"layer": {"_type": "choice", "_value": options}, "a": MIXED["a"]}))
    assert len(found) == (1 + 3 + 2) * 2
    assert {"layer": {"_name": "empty"}, "a": 1} in found
    assert {"layer": {"_name": "conv", "kernel": 5}, "a": 2} in found


def test_a_grid_of_a_billion_points_starts_at_once():
    space = {f"x{i}": {"_type": "randint", "_value": [0, 1000]} for i in range(3)}
    assert started(GridSearchTuner(), space).generate_parameters(0) == {"x0": 0, "x1": 0, "x2": 0}


def test_other_types_are_refused_by_name():
    with pytest.raises(SearchSpaceError, match=r"searchSpace\.lr: GridSearch does not support .*loguniform"):
        started(GridSearchTuner(), {"lr": {"_type": "loguniform", "_value": [1e-5, 1]}})


def test_imported_points_are_not_run_again():
    tuner = started(GridSearchTuner(), MIXED)
    done = [{"a": 1, "b": 2, "c": 0}, {"a": 2, "b": 10.0, "c": 1}]
    tuner.import_data([{"parameter": each, "value": 0.5} for each in [*done, {"elsewhere": 1}]])
    found = drain(tuner)
    assert len(found) == 10
    assert not any(each in found for each in done)


def test_imported_points_are_recognised_by_bin():
    tuner = started(GridSearchTuner(), {"x": {"_type": "quniform", "_value": [0, 0.5, 0.1]}})
    tuner.import_data([{"parameter": {"x": 0.3}, "value": 1}])
    assert [round(each["x"], 3) for each in drain(tuner)] == [0, 0.1, 0.2, 0.4, 0.5]


def test_a_larger_grid_leaves_out_what_the_smaller_one_tried():
    tuner = started(GridSearchTuner(), {"c": {"_type": "randint", "_value": [0, 3]}})
    assert drain(tuner) == [{"c": 0}, {"c": 1}, {"c": 2}]
    tuner.update_search_space({"c": {"_type": "randint", "_value": [-1, 5]}})
    assert drain(tuner, 3) == [{"c": -1}, {"c": 3}, {"c": 4}]


def test_trials_added_by_hand_are_no_part_of_the_grid_after_a_resume():
    tuner = started(GridSearchTuner(), {"c": {"_type": "randint", "_value": [0, 3]}})
    by_hand = {"kind": "parameters", "parameter_id": 0, "parameters": {"c": 1}, "parameter_source": "customized"}
    tuner.replay([by_hand, {"kind": "result", "parameter_id": 0, "value": 1.0}])
    assert drain(tuner) == [{"c": 0}, {"c": 1}, {"c": 2}]


def test_optimize_mode_is_accepted_as_users_pass_it():
    assert drain(started(GridSearchTuner(optimize_mode="minimize"), MIXED)) == drain(started(GridSearchTuner(), MIXED))
    with pytest.raises(NniError, match="optimize_mode"):
        GridSearchTuner(optimize_mode="up")


# ------------------------------------------------------------------------------------------------ batch


def test_a_batch_is_run_in_the_order_given():
    configurations = [{"optimizer": name, "lr": 10**-power} for name in ("adam", "sgd") for power in (1, 2, 3)]
    assert drain(started(BatchTuner(), batch(*configurations))) == configurations


def test_a_repeated_configuration_is_run_as_often_as_it_is_listed():
    assert drain(started(BatchTuner(), batch({"a": 1}, {"a": 1}))) == [{"a": 1}, {"a": 1}]


def test_is_valid_returns_the_configurations_or_none():
    assert BatchTuner().is_valid(batch({"a": 1}, {"a": 2})) == [{"a": 1}, {"a": 2}]
    assert BatchTuner().is_valid({"x": {"_type": "uniform", "_value": [0, 1]}}) is None
    assert BatchTuner().is_valid({**batch({"a": 1}), "x": {"_type": "choice", "_value": [1]}}) is None
    assert BatchTuner().is_valid({"combine_params": {"_type": "choice", "_value": "[{}]"}}) is None


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"x": {"_type": "uniform", "_value": [0, 1]}}, "'x' of type uniform"),
        ({"x": {"_type": "choice", "_value": [1]}}, "'x' of type choice"),
        ({"combine_params": {"_type": "randint", "_value": [0, 3]}}, "'combine_params' of type randint"),
        ({"combine_params": {"_type": "choice", "_value": "[{}]"}}, "list of options"),
        ({}, "combine_params"),
    ],
)
def test_other_spaces_are_refused_with_the_form_expected(space, says):
    with pytest.raises(SearchSpaceError) as caught:
        started(BatchTuner(), space)
    assert says in str(caught.value)


def test_imported_configurations_are_left_out():
    tuner = started(BatchTuner(), batch({"a": 1}, {"a": 2}, {"a": 3}))
    tuner.import_data([{"parameter": {"a": 2.0}, "value": 0.1}])
    assert drain(tuner) == [{"a": 1}, {"a": 3}]


def test_a_longer_batch_goes_on_where_the_shorter_one_ended():
    tuner = started(BatchTuner(), batch({"a": 1}, {"a": 2}))
    assert tuner.generate_parameters(0) == {"a": 1}
    tuner.update_search_space(batch({"a": 3}, {"a": 1}, {"a": 2}))
    assert drain(tuner, 1) == [{"a": 3}, {"a": 2}]


@pytest.mark.parametrize("tuner", [GridSearchTuner, BatchTuner])
def test_neither_needs_an_argument(tuner):
    parameters = inspect.signature(tuner).parameters.values()
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY and parameter.default != parameter.empty for parameter in parameters
    )
