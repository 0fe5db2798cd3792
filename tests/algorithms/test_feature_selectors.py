"""Both built-in selectors as scikit-learn estimators, and what they say to bad input."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector
from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector
from nni.feature_engineering.feature_selector import FeatureSelector

SELECTORS = [FeatureGradientSelector(n_features=2), GBDTSelector(n_features=2)]
EVERY = pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: type(selector).__name__)
# With the number of columns left to the search, a target that the check made up at random has nothing to select, and
# the selector says so instead of returning no columns.
RANDOM_TARGET = "the target is random, so that no column is worth selecting, which is an error on purpose"
EXPECTED_FAILURES = dict.fromkeys(
    [
        "check_dtype_object",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_fit_idempotent",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_estimators_dtypes",
        "check_f_contiguous_array_estimator",
    ],
    RANDOM_TARGET,
)


def some_data(n=200, columns=8, seed=0):
    random = np.random.default_rng(seed)
    table = random.normal(size=(n, columns))
    return table, (table[:, 3] + table[:, 5] + 0.3 * random.normal(size=n) > 0).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("selector", [FeatureGradientSelector(n_features=1), GBDTSelector(n_features=1)])
def test_scikit_learn_accepts_the_selector_without_exception(selector):
    results = check_estimator(selector, on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.mark.slow
def test_scikit_learn_accepts_the_defaults_but_where_there_is_nothing_to_select():
    results = check_estimator(
        FeatureGradientSelector(), expected_failed_checks=EXPECTED_FAILURES, on_skip=None, on_fail=None
    )
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert failed == {}
    excused = [result["exception"] for result in results if result["status"] == "xfail"]
    assert excused
    for error in excused:
        chain = (error, error.__cause__, error.__context__)
        assert any("nothing is selected" in str(one) for one in chain), error


@EVERY
def test_a_selector_is_what_the_documentation_says(selector):
    assert isinstance(selector, FeatureSelector)
    assert isinstance(selector, BaseEstimator)
    assert isinstance(selector, SelectorMixin)


@EVERY
def test_support_transform_and_its_inverse_fit_together(selector):
    table, y = some_data()
    selector = clone(selector)
    assert selector.fit(table, y) is selector
    assert sorted(selector.get_selected_features()) == [3, 5]
    assert selector.get_support().tolist() == [column in (3, 5) for column in range(8)]
    assert selector.get_support(indices=True).tolist() == [3, 5]
    kept = selector.transform(table)
    assert np.array_equal(kept, table[:, [3, 5]])
    back = selector.inverse_transform(kept)
    assert back.shape == table.shape
    assert np.array_equal(back[:, [3, 5]], kept)
    assert not back[:, [0, 1, 2, 4, 6, 7]].any()


@EVERY
def test_a_fitted_selector_can_be_cloned_and_does_not_keep_the_data(selector):
    table, y = some_data()
    fitted = clone(selector).fit(table, y)
    assert clone(fitted).get_params() == selector.get_params()
    assert (fitted.X, fitted.y) == (None, None)


@EVERY
def test_a_selector_works_in_a_pipeline_in_cross_validation_and_in_a_grid_search(selector):
    table, y = some_data()
    pipeline = make_pipeline(clone(selector), LogisticRegression())
    assert cross_val_score(pipeline, table, y, cv=3).mean() > 0.85
    search = GridSearchCV(pipeline, {f"{type(selector).__name__.lower()}__n_features": [1, 2]}, cv=3).fit(table, y)
    assert search.best_params_ == {f"{type(selector).__name__.lower()}__n_features": 2}


@EVERY
@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_frames_go_in_and_come_out_with_their_names(selector, frame):
    table, y = some_data()
    names = list("abcdefgh")
    data = pd.DataFrame(table, columns=names) if frame == "pandas" else pl.DataFrame(table, schema=names)
    selector = clone(selector).set_output(transform=frame)
    selected = selector.fit_transform(data, y)
    assert selector.feature_names_in_.tolist() == names
    assert type(selected) is type(data)
    assert list(selected.columns) == ["d", "f"]


@EVERY
def test_a_sparse_table_gives_the_columns_of_the_dense_one(selector):
    table, y = some_data()
    table[np.abs(table) < 0.5] = 0
    found = clone(selector).fit(sparse.csr_matrix(table), y).get_selected_features()
    assert sorted(found) == sorted(clone(selector).fit(table, y).get_selected_features())


@EVERY
def test_the_same_seed_gives_the_same_columns(selector):
    table, y = some_data(columns=30)
    first, second = (clone(selector).set_params(n_features=6).fit(table, y) for _ in range(2))
    assert first.get_selected_features() == second.get_selected_features()
    assert np.array_equal(first.importances_, second.importances_)


def broken(column, value):
    table, y = some_data()
    table = table.astype(object) if isinstance(value, str) else table
    table[7 if not isinstance(value, str) else slice(None), column] = value
    return table, y


@EVERY
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "X: column 4 contains NaN"),
        (np.inf, "X: column 4 contains infinity"),
        ("red", "X: column 4 holds text ('red')"),
    ],
)
def test_a_bad_value_is_an_error_that_names_its_column(selector, value, message):
    table, y = broken(4, value)
    with pytest.raises(ValueError) as caught:
        clone(selector).fit(table, y)
    assert message in str(caught.value)


@EVERY
@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_a_bad_column_of_a_frame_is_named(selector, frame):
    table, y = some_data()
    columns = {name: table[:, i] for i, name in enumerate("abc")}
    make = pd.DataFrame if frame == "pandas" else pl.DataFrame
    with pytest.raises(ValueError, match="X: column 'colour' holds text"):
        clone(selector).fit(make({**columns, "colour": ["red", "blue"] * 100}), y)
    with pytest.raises(ValueError, match="X: column 'still' is constant"):
        clone(selector).fit(make({**columns, "still": [1.0] * 200}), y)


@EVERY
def test_one_bad_value_of_a_sparse_table_is_named(selector):
    table, y = some_data()
    table[3, 6] = np.nan
    with pytest.raises(ValueError, match="X: column 6 contains NaN"):
        clone(selector).fit(sparse.csr_matrix(table), y)


@EVERY
def test_columns_of_zeros_in_a_sparse_table_are_never_selected(selector):
    table, y = some_data()
    table[:, [0, 7]] = 0
    assert not {0, 7} & set(clone(selector).fit(sparse.csr_matrix(table), y).get_selected_features())


@EVERY
def test_a_date_and_a_name_that_occurs_twice_are_named(selector):
    table, y = some_data()
    data = pd.DataFrame(table[:, :2], columns=["a", "a"])
    data["when"] = pd.date_range("2020-01-01", periods=len(y))
    with pytest.raises(ValueError, match="X: column 'when' holds dates or times"):
        clone(selector).fit(data, y)
    with pytest.raises(ValueError, match="X: column 'a' holds text"):
        clone(selector).fit(data[["a"]].astype(str).replace("", "x").map(lambda text: f"<{text}>"), y)


@EVERY
def test_constant_columns_can_be_ignored_and_are_then_never_selected(selector):
    table, y = some_data()
    table[:, [0, 7]] = 0.1
    selector = clone(selector).set_params(constant_columns="ignore", n_features=6)
    assert sorted(selector.fit(table, y).get_selected_features()) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(
        ValueError, match=r"^n_features: expected at most 6, as many columns as X has \(2 columns are con"
    ):
        selector.set_params(n_features=7).fit(table, y)
    with pytest.raises(ValueError, match=r"^constant_columns: expected one of 'error', 'ignore'"):
        selector.set_params(constant_columns="drop").fit(table, y)


@EVERY
def test_a_column_that_is_constant_in_some_folds_can_be_cross_validated(selector):
    table, y = some_data()
    table[:, 2] = 0
    table[150:, 2] = np.arange(50)  # without order, the last fold trains on rows where it is constant
    folds = KFold(4)
    strict = make_pipeline(clone(selector), LogisticRegression())
    with pytest.raises(ValueError, match=r"X: column 2 is constant.*constant_columns='ignore'"):
        cross_val_score(strict, table, y, cv=folds, error_score="raise")
    lenient = make_pipeline(clone(selector).set_params(constant_columns="ignore"), LogisticRegression())
    assert cross_val_score(lenient, table, y, cv=folds).mean() > 0.85


@EVERY
@pytest.mark.parametrize("value", [np.nan, np.inf, "2", True, 2.5])
def test_a_number_of_columns_that_is_none_is_an_error_that_names_it(selector, value):
    with pytest.raises(ValueError, match=r"^n_features: expected an integer of at least 1"):
        clone(selector).set_params(n_features=value).fit(*some_data())


@EVERY
def test_one_class_and_too_many_columns_are_errors(selector):
    table, y = some_data()
    with pytest.raises(ValueError, match=r"^y: .*one class"):
        clone(selector).fit(table, np.ones(len(y), dtype=int))
    with pytest.raises(ValueError, match=r"^n_features: expected at most 8.* got 9"):
        clone(selector).set_params(n_features=9).fit(table, y)


@pytest.mark.parametrize("module", ["torch", "lightgbm"])
def test_a_missing_package_is_one_sentence_that_names_the_extra(module):
    kind = "FeatureGradientSelector" if module == "torch" else "GBDTSelector"
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise ModuleNotFoundError('No module named ' + repr(name))\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"from nni.algorithms.feature_engineering import {kind}\n"
        f"try: {kind}().fit([[0.0], [1.0]], [0, 1])\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install nni[features]" in result.stdout
    assert result.stdout.count("\n") == 1


def test_importing_the_selectors_loads_neither_torch_nor_lightgbm():
    code = "import sys, nni.algorithms.feature_engineering; print({'torch', 'lightgbm'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_documented_arguments_of_the_gradient_selector_have_their_documented_defaults():
    documented = {
        "order": 4,
        "penalty": 1,
        "n_features": None,
        "max_features": None,
        "learning_rate": 0.1,
        "init": "zero",
        "n_epochs": 1,
        "shuffle": True,
        "batch_size": 1000,
        "target_batch_size": 1000,
        "classification": True,
        "ordinal": True,
        "balanced": True,
        "preprocess": "zscore",
        "soft_grouping": True,
        "verbose": 0,
        "device": "cpu",
    }
    parameters = list(inspect.signature(FeatureGradientSelector).parameters.values())[: len(documented)]
    assert {one.name: one.default for one in parameters} == documented


def test_the_base_class_keeps_the_data_and_says_when_it_is_not_fitted():
    class First(FeatureSelector):
        def fit(self, X, y, **kwargs):  # noqa: N803
            super().fit(X, y)
            self.selected_features_ = [0]
            return self

    with pytest.raises(ValueError, match="not fitted yet"):
        First().get_selected_features()
    selector = First(anything=3).fit("table", "target")
    assert (selector.anything, selector.X, selector.y) == (3, "table", "target")
    assert selector.get_selected_features() == [0]
