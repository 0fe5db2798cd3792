"""Trials as compact rows, searches over them, and thinned curves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.experiment.columns import changed_columns, found_columns, plain_parameters
from nni.experiment.curves import curves, thinned
from nni.experiment.queries import Queries
from nni.store import Batch, Metric, ParameterFilter, Profile, Search, Store, Trial, TrialStatus

CONFIG = {
    "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    "trainingService": {"platform": "local"},
}


def trial(number: int, parameters: Any, status: TrialStatus = TrialStatus.SUCCEEDED, final: Any = None) -> Trial:
    value = final.get("default") if isinstance(final, dict) else final
    ranked = value if isinstance(value, float) and math.isfinite(value) else None
    text = None if final is None else json.dumps(final)
    return Trial(
        f"t{number}",
        number,
        number,
        "algorithm",
        json.dumps(parameters),
        status,
        "",
        1,
        10,
        30,
        0,
        None,
        2,
        text,
        ranked,
    )


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    rows = [
        trial(0, {"lr": 0.123456789, "layer": {"_name": "Conv", "size": 3}}, final={"default": 0.5, "loss": 0.25}),
        trial(1, {"lr": 0.2, "layer": {"_name": "Empty"}}, final=float("nan")),
        trial(2, {"lr": float("inf"), "layer": {"_name": "Conv", "size": 5}}, TrialStatus.FAILED),
        trial(3, {"lr": 0.3, "layer": {"_name": "Conv", "size": 5}, "on": True}, final=0.75),
    ]
    metrics = [
        Metric(n, step * 10, "PERIODICAL", step, step, n, f'{{"default":{n + step},"loss":9}}')
        for n in range(4)
        for step in range(3)
    ]  # fmt: skip
    store = Store(tmp_path / "nni.sqlite")
    store.commit(Batch({row.sequence: row for row in rows[:2]}, metrics, [], Profile("x", CONFIG)))
    store.commit(Batch({row.sequence: row for row in rows[2:]}, [], [], None))
    store.close()
    (tmp_path / "db").mkdir()
    (tmp_path / "nni.sqlite").rename(tmp_path / "db" / "nni.sqlite")
    return Queries(tmp_path, Profile("x", CONFIG), at_rest=True)


def test_rows_name_parameters_once_and_take_nested_ones_apart(queries: Queries):
    columns = json.loads(changed_columns(queries, 0))
    assert columns["parameters"] == ["lr", "layer", "layer/size", "on"]
    assert columns["metrics"] == ["loss"]
    assert [row[10] for row in columns["rows"]] == [
        [0.123457, "Conv", 3],
        [0.2, "Empty", None],
        ["Infinity", "Conv", 5],
        [0.3, "Conv", 5, True],
    ]
    assert [row[5] for row in columns["rows"]] == [0.5, "NaN", None, 0.75]
    assert columns["rows"][0][11] == [0.25]
    assert columns["statuses"][columns["rows"][2][2]] == "FAILED"


def test_a_delta_has_only_what_changed(queries: Queries):
    columns = json.loads(changed_columns(queries, 1))
    assert [row[0] for row in columns["rows"]] == [2, 3]
    assert json.loads(changed_columns(queries, columns["revision"]))["rows"] == []


def found(queries: Queries, search: Search) -> list[int]:
    return [row[0] for row in json.loads(found_columns(queries, search, 10, 0))["rows"]]


def test_a_search_finds_by_id_number_status_and_parameters(queries: Queries):
    assert found(queries, Search("T1")) == [1]
    assert found(queries, Search("3")) == [3]
    assert found(queries, Search(statuses=(TrialStatus.FAILED,))) == [2]
    assert found(queries, Search(parameters=(ParameterFilter("layer", ("Conv",)),))) == [0, 3]
    assert found(queries, Search(parameters=(ParameterFilter("layer/size", low=4, high=6),))) == [3]
    assert found(queries, Search(parameters=(ParameterFilter("lr", low=0.15),))) == [1, 3]
    assert found(queries, Search(parameters=(ParameterFilter("on", (True,)),))) == [3]


def test_a_search_orders_by_anything_and_puts_what_is_missing_last(queries: Queries):
    assert found(queries, Search(order="metric", descending=True)) == [3, 0, 1, 2]
    assert found(queries, Search(order="parameter:lr", descending=True)) == [3, 1, 0, 2]
    assert found(queries, Search(order="parameter:layer/size")) == [0, 3, 1, 2]
    with pytest.raises(ValueError, match="order 'speed' is unknown"):
        found(queries, Search(order="speed"))


@pytest.mark.parametrize("name", ["'; DROP TABLE trial; --", "a.b", "$", ""])
def test_a_name_never_becomes_part_of_the_question(queries: Queries, name: str):
    assert found(queries, Search(parameters=(ParameterFilter(name, ("y",)),))) == []
    assert len(found(queries, Search())) == 4


def test_a_name_that_cannot_be_looked_for_is_refused(queries: Queries):
    with pytest.raises(ValueError, match="quotation mark"):
        found(queries, Search(parameters=(ParameterFilter('x" OR 1=1 --', ("y",)),)))


def test_curves_are_those_of_the_best_and_can_be_asked_for_by_a_window(queries: Queries):
    best = curves(queries, top=1)
    assert [(curve["sequence"], curve["values"]) for curve in best["curves"]] == [(3, [3, 4, 5])]
    assert best["keys"] == ["default", "loss"]
    window = curves(queries, window=(1, 2.0, 3.0))
    assert window["matching"] == 2
    assert [curve["sequence"] for curve in window["curves"]] == [1, 2]
    assert curves(queries, sequences=[0], key="loss")["curves"][0]["values"] == [9, 9, 9]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int):
    steps, kept = thinned(range(len(values)), values, most)
    assert len(steps) == len(kept) <= max(most, 2)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, len(values) - 1)
    assert min(values) == pytest.approx(min(kept), rel=1e-5)
    assert max(values) == pytest.approx(max(kept), rel=1e-5)


def test_parameters_that_are_no_object_have_a_name_too():
    assert list(plain_parameters(3)) == [("value", 3)]
