"""The selector by gradient boosted trees: the documented arguments of fit and get_selected_features."""

from __future__ import annotations

import numpy as np
import pytest

from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector

ARGUMENTS = {
    "lgb_params": {"objective": "binary", "verbosity": -1},
    "eval_ratio": 0.2,
    "early_stopping_rounds": 5,
    "importance_type": "gain",
    "num_boost_round": 30,
}


def some_data(n=300):
    random = np.random.default_rng(1)
    table = random.normal(size=(n, 6))
    return table, (3 * table[:, 4] + table[:, 1] + 0.3 * random.normal(size=n) > 0).astype(int)


def test_the_topk_columns_come_best_first():
    selector = GBDTSelector().fit(*some_data(), **ARGUMENTS)
    assert selector.get_selected_features(2) == [4, 1]
    assert sorted(selector.get_selected_features(6)) == list(range(6))


def test_more_columns_than_there_are_is_an_error():
    selector = GBDTSelector().fit(*some_data(), **ARGUMENTS)
    with pytest.raises(ValueError, match=r"^topk: expected an integer between 1 and 6, got 7"):
        selector.get_selected_features(7)


def test_gain_and_split_are_those_of_the_booster():
    for kind in ("gain", "split"):
        selector = GBDTSelector().fit(*some_data(), **{**ARGUMENTS, "importance_type": kind})
        assert np.array_equal(selector.importances_, selector.booster_.feature_importance(kind))


def test_early_stopping_and_the_number_of_rounds_are_obeyed():
    table, y = some_data()
    patient = GBDTSelector().fit(table, y, **{**ARGUMENTS, "early_stopping_rounds": 100, "num_boost_round": 7})
    assert patient.booster_.current_iteration() == 7
    random = np.random.default_rng(0).permutation(y)  # nothing improves on held-out rows
    hasty = GBDTSelector().fit(table, random, **{**ARGUMENTS, "early_stopping_rounds": 2, "num_boost_round": 100})
    assert hasty.booster_.current_iteration() < 20


def test_the_parameters_of_the_caller_stay_as_they_are():
    params = {"verbosity": -1}
    GBDTSelector().fit(*some_data(), **{**ARGUMENTS, "lgb_params": params})
    assert params == {"verbosity": -1}


def test_text_labels_and_several_classes_work_without_an_objective():
    table, _ = some_data()
    y = np.array(["low", "mid", "high"])[np.digitize(table[:, 2], [-0.5, 0.5])]
    assert GBDTSelector().fit(table, y).get_selected_features(1) == [2]


def test_a_regression_works_without_an_objective():
    table, _ = some_data()
    assert GBDTSelector().fit(table, table[:, 3] ** 2).get_selected_features(1) == [3]


@pytest.mark.parametrize(
    ("y", "objective"),
    [
        (np.round(np.linspace(0, 200, 300)), "regression"),  # measured in whole units
        (np.arange(300), "regression"),
        (np.arange(300) % 30, "multiclass"),
        (np.arange(300) % 3 * 1.0, "multiclass"),
        (np.array([f"class {i % 25}" for i in range(300)]), "multiclass"),
    ],
)
def test_the_objective_follows_from_the_target(y, objective):
    selector = GBDTSelector(num_boost_round=2, n_features=1).fit(some_data()[0], y)
    assert selector.booster_.params["objective"] == objective


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"importance_type": "gian"}, r"importance_type: .* did you mean 'gain'"),
        ({"eval_ratio": 1.0}, "eval_ratio: expected a number between 0 and 1"),
        ({"eval_ratio": 0.0}, "eval_ratio: expected"),
        ({"early_stopping_rounds": 0}, "early_stopping_rounds: expected an integer of at least 1"),
        ({"num_boost_round": 2.5}, "num_boost_round: expected an integer"),
        ({"lgb_params": "binary"}, "lgb_params: expected a dict"),
        ({"lgb_params": {"objective": "nonsense", "verbosity": -1}}, "lgb_params: LightGBM refuses"),
        ({"lgb_params": {"min_data_in_leaf": 10_000, "verbosity": -1}}, "no column is selected"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(change, message):
    with pytest.raises(ValueError, match=message):
        GBDTSelector().fit(*some_data(), **{**ARGUMENTS, **change})
