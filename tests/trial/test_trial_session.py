"""What a trial of an experiment gets, and how its reports are recorded (HPO-001 … HPO-007, HPO-012, HPO-013)."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni import trial as api
from nni.trial.session import ExperimentSession, Lazy

PARAMETERS = {"lr": 0.125, "layers": {"_name": "two", "size": [16, 32]}, "name": "ä€漢", "none": None}


def make(directory, parameters=PARAMETERS, parameter_id=7, **environment) -> ExperimentSession:
    (directory / ".nni").mkdir(exist_ok=True)
    configuration = {"parameter_id": parameter_id, "parameter_source": "algorithm", "parameters": parameters}
    (directory / "parameter.cfg").write_text(json.dumps({**configuration, "parameter_index": 0}))
    variables = {"NNI_PLATFORM": "local", "NNI_SYS_DIR": str(directory), "NNI_TRIAL_JOB_ID": "MoXrp"}
    return ExperimentSession({**variables, "NNI_EXP_ID": "egchD4qy", "NNI_TRIAL_SEQ_ID": "3", **environment})


def records(directory) -> list[dict]:
    path = directory / ".nni" / "metrics"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """The documented functions, as a trial of an experiment sees them."""
    monkeypatch.setattr(api, "_session", Lazy(lambda: make(tmp_path)))
    monkeypatch.setattr(api, "_current", None)
    return api


def test_the_parameters_are_given_once_and_then_there_are_no_more(trial):
    assert trial.get_next_parameter() == PARAMETERS
    assert trial.get_next_parameter() is None
    assert trial.get_next_parameter() is None


def test_the_current_parameters_are_those_given_last_and_nothing_is_consumed(trial):
    assert trial.get_current_parameter() is None
    assert trial.get_current_parameter("lr") is None
    given = trial.get_next_parameter()
    for _ in range(2):
        assert trial.get_current_parameter() == given
        assert trial.get_current_parameter("lr") == 0.125
    assert trial.get_current_parameter("no such name") is None
    assert trial.get_next_parameter() is None
    assert trial.get_current_parameter() == given, "a None does not replace what was given"


def test_current_parameters_before_the_first_call_do_not_take_them(trial):
    trial.get_current_parameter()
    assert trial.get_next_parameter() == PARAMETERS


def test_parameters_may_be_anything_json_can_carry(tmp_path, monkeypatch):
    monkeypatch.setattr(api, "_session", Lazy(lambda: make(tmp_path, [1, 2])))
    monkeypatch.setattr(api, "_current", None)
    assert api.get_next_parameter() == [1, 2]
    assert api.get_current_parameter("lr") is None


def test_a_trial_knows_its_ids(trial):
    assert (trial.get_experiment_id(), trial.get_trial_id(), trial.get_sequence_id()) == ("egchD4qy", "MoXrp", 3)


def test_each_report_is_one_line_with_everything_in_it(trial, tmp_path):
    trial.report_intermediate_result(0.5)
    trial.report_intermediate_result({"default": 0.75, "loss": 1})
    trial.report_final_result(1)
    found = records(tmp_path)
    assert [(r["type"], r["sequence"], r["value"]) for r in found] == [
        ("PERIODICAL", 0, 0.5),
        ("PERIODICAL", 1, {"default": 0.75, "loss": 1}),
        ("FINAL", 0, 1),
    ]
    assert {(r["parameter_id"], r["trial_job_id"]) for r in found} == {(7, "MoXrp")}
    assert all(isinstance(r["timestamp"], int) for r in found)
    assert len(records(tmp_path)) == (tmp_path / ".nni" / "metrics").read_bytes().count(b"\n")


def test_a_trial_that_never_asked_for_its_parameters_reports_under_their_id_all_the_same(trial, tmp_path):
    trial.report_final_result(1)
    assert records(tmp_path)[0]["parameter_id"] == 7
    assert trial.get_next_parameter() == PARAMETERS, "reporting takes no parameters"


def test_a_customised_trial_has_no_parameter_id(tmp_path):
    make(tmp_path, parameter_id=None).report("FINAL", 1)
    assert records(tmp_path)[0]["parameter_id"] is None


def test_reporting_returns_nothing_and_the_metric_is_not_changed(trial):
    metric = {"default": 1.0, "list": [1, {"a": (2, 3)}]}
    assert trial.report_intermediate_result(metric) is None
    assert trial.report_final_result(metric) is None
    assert metric == {"default": 1.0, "list": [1, {"a": (2, 3)}]}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "metric", [object(), {"default": 1j}, {(1, 2): 3}, b"bytes", nested(100_000), CIRCLE], ids=lambda _: ""
)
def test_what_json_cannot_carry_is_refused_and_leaves_nothing_behind(trial, tmp_path, metric):
    trial.report_intermediate_result(1)
    with pytest.raises(TypeError, match="a metric must be a number, or something JSON can carry"):
        trial.report_intermediate_result(metric)
    trial.report_intermediate_result(2)
    assert [(r["sequence"], r["value"]) for r in records(tmp_path)] == [(0, 1), (1, 2)], "no number is skipped"


def test_numpy_values_become_plain_ones(trial, tmp_path):
    import numpy as np

    trial.report_final_result({"default": np.float32(0.5), "all": np.arange(3), "n": np.int64(2), "b": np.bool_(1)})
    assert records(tmp_path)[0]["value"] == {"default": 0.5, "all": [0, 1, 2], "n": 2, "b": True}


def test_a_missing_parameter_file_says_which(tmp_path):
    session = make(tmp_path)
    (tmp_path / "parameter.cfg").unlink()
    with pytest.raises(FileNotFoundError, match=r"parameter\.cfg"):
        session.next_parameters()


numbers = st.integers() | st.floats() | st.booleans() | st.none()
anything = st.recursive(
    numbers | st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def same(a, b) -> bool:
    """Equality in which NaN equals itself, and 1 is neither 1.0 nor True."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@given(st.lists(anything, min_size=1, max_size=5))
@settings(deadline=None)
def test_any_json_value_arrives_as_it_was_reported(tmp_path_factory, metrics):
    directory = tmp_path_factory.mktemp("trial")
    session = make(directory)
    for metric in metrics:
        session.report("PERIODICAL", metric)
    lines = (directory / ".nni" / "metrics").read_bytes().split(b"\n")
    assert lines.pop() == b""
    found = [json.loads(line) for line in lines]
    assert [record["sequence"] for record in found] == list(range(len(metrics)))
    assert all(same(record["value"], metric) for record, metric in zip(found, metrics, strict=True))


@given(st.dictionaries(st.text(), anything))
@settings(deadline=None)
def test_any_parameters_arrive_as_the_tuner_made_them(tmp_path_factory, parameters):
    assert same(make(tmp_path_factory.mktemp("trial"), parameters).next_parameters(), parameters)
