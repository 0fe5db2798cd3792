"""Which parameters decided about the results."""

from __future__ import annotations

import contextlib
import json
import math
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.experiment import Experiment, ImportanceError, TrialResult, parameter_importance, queries
from nni.experiment.importance import BUDGET
from nni.experiment.queries import Queries
from nni.store import Batch, Profile, Store, Trial, TrialStatus
from nni.tools.nnictl._app import run


def trials(count, function, seed=0, draw=None):
    rng = np.random.default_rng(seed)
    draw = draw or (lambda: {"x": float(rng.random()), "y": float(rng.random()), "z": float(rng.random())})
    configurations = [draw() for _ in range(count)]
    return [{"parameter": c, "value": function(c)} for c in configurations]


def shares(found):
    return {one.name: one.importance for one in found}


def test_what_decides_is_important_and_what_does_not_is_not():
    data = trials(400, lambda c: -((c["x"] - 0.3) ** 2) - 0.15 * (c["y"] - 0.5) ** 2)
    found = parameter_importance(data)
    assert [one.name for one in found] == ["x", "y", "z"]
    assert found[0].importance > 2 * found[1].importance > 0
    assert found[2].importance < 0.03
    assert found[0].chance <= 0.01
    assert found[2].chance > 0.05
    assert math.fsum(one.importance for one in found) == pytest.approx(1)


def test_of_very_many_trials_a_part_tells_the_same(tmp_path, monkeypatch):
    (tmp_path / "db").mkdir()
    rows = {
        number: Trial(
            f"t{number}", number, number, "algorithm", json.dumps(item["parameter"]), TrialStatus.SUCCEEDED,
            final=str(item["value"]), value=item["value"],
        )
        for number, item in enumerate(trials(600, lambda c: c["x"]))
    }  # fmt: skip
    profile = Profile("egchD4qy", {})
    with contextlib.closing(Store(tmp_path / "db" / "nni.sqlite")) as store:
        store.commit(Batch(rows, [], [], profile))
    asked = Queries(tmp_path, profile)
    with contextlib.closing(asked.reader):
        whole = asked.importance()
        monkeypatch.setattr(queries, "_WEIGHED", 200)
        part = asked.importance()
    assert part != whole
    assert part["items"][0]["name"] == whole["items"][0]["name"] == "x"
    assert part["items"][0]["importance"] == pytest.approx(whole["items"][0]["importance"], abs=0.1)


def test_modes_are_mirror_images():
    data = trials(100, lambda c: c["x"] * c["y"])
    negative = [{**item, "value": -item["value"]} for item in data]
    assert parameter_importance(data) == parameter_importance(negative, "minimize")
    assert parameter_importance(data, "maximize") != parameter_importance(data, "minimize")


def test_the_scale_of_parameters_and_results_does_not_matter():
    data = trials(120, lambda c: c["x"] + 0.2 * c["y"])
    warped = [
        {"parameter": {**item["parameter"], "x": 10 ** (9 * item["parameter"]["x"])}, "value": math.exp(item["value"])}
        for item in data
    ]
    assert parameter_importance(warped) == parameter_importance(data)


def test_it_does_not_matter_where_a_tuner_searched_more():
    """Most trials are where y is small, and y decides nothing."""
    rng = np.random.default_rng(0)
    data = trials(500, lambda c: c["x"], draw=lambda: {"x": float(rng.random()), "y": float(rng.beta(0.2, 3))})
    assert shares(parameter_importance(data))["x"] > 0.95


@pytest.mark.parametrize("options", [["a", "b", "c"], [1, 10, 5], [[1, 2], None, {"k": 1}], [True, False, "x"]])
def test_a_choice_among_anything_can_be_important(options):
    rng = np.random.default_rng(0)

    def draw():
        return {"k": options[rng.integers(3)], "x": float(rng.random())}

    data = trials(150, lambda c: (c["k"] == options[1]) + 0.01 * rng.random(), draw=draw)
    assert shares(parameter_importance(data))["k"] > 0.6


def test_nested_parameters_count_where_they_are_active():
    rng = np.random.default_rng(0)

    def draw():
        if rng.random() < 0.5:
            return {"net": {"_name": "a", "x": float(rng.random())}}
        return {"net": {"_name": "b", "x": float(rng.random()), "y": float(rng.random())}}

    data = trials(600, lambda c: 1 + c["net"]["y"] if c["net"]["_name"] == "b" else 0, draw=draw)
    found = shares(parameter_importance(data))
    assert set(found) == {"net", "net.a.x", "net.b.x", "net.b.y"}
    assert found["net.b.y"] > found["net"] > 0.1
    assert found["net.a.x"] == 0  # the best trials never went there
    assert found["net.b.x"] < 0.05


def test_few_trials_are_refused_or_told_to_be_uncertain():
    for count, text in ((0, "there are 0"), (1, "there is 1"), (7, "there are 7")):
        with pytest.raises(ImportanceError, match=f"needs 8 trials with a result; {text}"):
            parameter_importance(trials(count, lambda c: c["x"]))
    nothing = [parameter_importance(trials(12, lambda c: hash(c["x"]) % 97, seed)) for seed in range(40)]
    accidents = np.mean([one.chance <= 0.05 for found in nothing for one in found])
    assert accidents < 0.12  # of what does not matter, about one in twenty looks as if it did


def test_equal_results_depend_on_nothing():
    found = parameter_importance(trials(30, lambda _: 1.0))
    assert [one.importance for one in found] == [0, 0, 0]
    assert all(one.chance > 0.05 for one in found)


def test_equal_results_at_the_border_do_not_favour_the_early_trials():
    data = [{"parameter": {"order": n}, "value": 1.0 if n % 2 else 0.0} for n in range(200)]
    assert shares(parameter_importance(data))["order"] == 0


def test_failures_are_bad_trials():
    data = trials(100, lambda c: "NaN" if c["x"] < 0.5 else c["y"])
    found = shares(parameter_importance(data))
    assert found["y"] > 0.2
    assert found["x"] > 0.05
    assert found == shares(
        parameter_importance([{**d, "value": d["value"] if d["value"] != "NaN" else -9} for d in data])
    )


def test_what_does_not_vary_is_left_out():
    data = [
        {"parameter": {**item["parameter"], "fixed": 3}, "value": item["value"]}
        for item in trials(20, lambda c: c["x"])
    ]
    assert "fixed" not in shares(parameter_importance(data))


def test_of_several_budgets_the_largest_with_enough_trials_counts():
    small = trials(60, lambda c: c["y"], 1)
    large = trials(40, lambda c: c["x"], 2)
    data = [
        {**d, "parameter": {**d["parameter"], BUDGET: budget}}
        for budget, part in ((1, small), (9, large))
        for d in part
    ]
    found = shares(parameter_importance(data))
    assert BUDGET not in found
    assert found["x"] > 0.7


def test_dicts_with_default_and_typed_results_are_read():
    data = trials(40, lambda c: c["x"])
    typed = [TrialResult(item["parameter"], {"default": item["value"], "other": 1}, "id") for item in data]
    assert parameter_importance(typed) == parameter_importance(data)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: parameter_importance([], "best"), "optimize_mode: expected 'maximize' or 'minimize', got 'best'"),
        (lambda: parameter_importance([], top=1.5), "top: expected a share between 0 and 1, got 1.5"),
        (lambda: parameter_importance([3]), "expected trials with 'parameter' and 'value', got 3"),
    ],
)
def test_wrong_arguments_are_named(call, problem):
    with pytest.raises(ImportanceError, match=problem):
        call()


values = st.one_of(
    st.integers(-5, 5), st.floats(allow_nan=False), st.booleans(), st.sampled_from(["a", "b"]), st.none()
)
nested = st.dictionaries(st.sampled_from("pqr"), values, max_size=3).map(lambda d: {"_name": "o", **d})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abc"), st.one_of(values, nested), max_size=3), st.floats(allow_nan=True)
        ),
        min_size=8,
        max_size=40,
    )
)
def test_whatever_the_trials_are_shares_are_shares(pairs):
    found = parameter_importance([{"parameter": c, "value": v} for c, v in pairs])
    total = math.fsum(one.importance for one in found)
    assert total == pytest.approx(1) or total == 0
    assert all(0 <= one.importance <= 1 and 0 < one.chance <= 1 for one in found)


TRIAL = """
import nni
p = nni.get_next_parameter()
nni.report_final_result(p["x"] + (0 if p["k"] == "good" else 5))
"""


@pytest.mark.slow
def test_an_experiment_tells_in_python_by_rest_and_on_the_command_line(
    isolated_home: Path, tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "trial.py").write_text(TRIAL)
    grid = {"x": {"_type": "quniform", "_value": [0, 1, 0.25]}, "k": {"_type": "choice", "_value": ["good", "bad"]}}
    experiment = Experiment("local")
    config = experiment.config
    config.search_space, config.trial_command, config.trial_code_directory = grid, "python3 trial.py", tmp_path
    config.trial_concurrency, config.max_trial_number = 2, 10
    config.tuner = {"name": "GridSearch", "class_args": {"optimize_mode": "minimize"}}
    experiment.start(free_port)
    with httpx.Client(base_url=f"http://127.0.0.1:{free_port}/api/v1/nni", trust_env=False, timeout=60) as rest:
        first = rest.get("/importance").json()
        assert first["reason"] is None or "needs 8 trials with a result" in first["reason"]
        while experiment.get_status() not in {"DONE", "ERROR"}:
            time.sleep(0.1)
        answer = rest.get("/importance").json()
    found = experiment.parameter_importance()
    assert {one.name for one in found} == {"x", "k"}
    assert answer == {"optimizeMode": "minimize", "items": [one._asdict() for one in found], "reason": None}
    assert run(["experiment", "importance", experiment.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer
    experiment.stop()
    assert run(["experiment", "importance", experiment.id]) == 0  # from the disk
    assert "Importance" in capsys.readouterr().out
