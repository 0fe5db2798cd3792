"""The benchmark tool: every tuner on every task and fold, ranked, written down and drawn (HPO-420 … HPO-427, X-60)."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nni.common.errors import NniError
from nni.search_space import parse, space_size
from nni.tools.hpo_benchmark._architectures import ARCHITECTURES
from nni.tools.hpo_benchmark._data import DataError, load
from nni.tools.hpo_benchmark._drive import Limit, drive
from nni.tools.hpo_benchmark._ranking import Result, ranks
from nni.tools.hpo_benchmark._tasks import BENCHMARKS, Task, benchmark

SPACE = {"n_estimators": {"_type": "randint", "_value": [2, 6]}, "max_depth": {"_type": "choice", "_value": [1, 4, 0]}}


def test_the_documented_benchmarks_have_the_documented_tasks():
    assert {name: len(tasks) for name, tasks in BENCHMARKS.items() if name != "bundled"} == {
        "nnivalid": 3,
        "nnismall-regression": 8,
        "nnismall-binary": 8,
        "nnismall-multiclass": 8,
        "nnismall": 24,
    }


def test_the_search_spaces_are_the_documented_ones():
    assert len(ARCHITECTURES["mlp"].search_space["hidden_layer_sizes"]["_value"]) == 18
    forest = ARCHITECTURES["random_forest"].search_space
    assert space_size(parse(forest)) == 2044 * 8 * 7 * 14 * 4096


@pytest.mark.parametrize("architecture", ["random_forest", "mlp"])
@pytest.mark.parametrize(("name", "metrics"), [("diabetes", {"rmse", "r2"}), ("iris", {"auc", "logloss"})])
def test_a_configuration_is_scored_by_cross_validation_and_tested_once(architecture, name, metrics):
    found = ARCHITECTURES[architecture]
    task = Task(load(name, None), 0, found, seed=0)
    parameters = {"n_estimators": 5, "max_leaf_nodes": 0} if architecture == "random_forest" else {"max_iter": 20}
    assert math.isfinite(task.evaluate(parameters))
    assert set(task.test(parameters)) == metrics
    train, test = task._split()
    assert not set(train) & set(test)


def test_a_better_configuration_gets_a_larger_score_also_where_the_metric_is_an_error():
    for name in ("diabetes", "breast_cancer", "wine"):
        task = Task(load(name, None), 0, ARCHITECTURES["random_forest"], seed=0)
        poor = task.evaluate({"n_estimators": 1, "max_depth": 1})
        assert task.evaluate({"n_estimators": 30, "max_depth": 0}) > poor


@pytest.mark.parametrize("suffix", ["csv", "arff"])
def test_a_file_is_a_task_with_categories_and_missing_values(tmp_path, suffix):
    rows = [f"{index},{'red' if index % 3 else 'blue'},{'yes' if index % 2 else 'no'}" for index in range(60)]
    rows[7] = rows[7].replace("7,", "?,", 1)
    head = "@relation t\n@attribute a numeric\n@attribute b {red,blue}\n@attribute c {yes,no}\n@data"
    (tmp_path / f"kc2.{suffix}").write_text("\n".join(["a,b,c" if suffix == "csv" else head, *rows]) + "\n")
    data = load("kc2", tmp_path)
    assert data.kind == "binary"
    assert data.categorical.tolist() == [False, True]
    assert np.isnan(data.features[7, 0])
    assert math.isfinite(Task(data, 0, ARCHITECTURES["random_forest"], 0).evaluate({"n_estimators": 3}))


def test_what_kind_of_task_it_is_follows_from_the_number_of_classes(tmp_path):
    (tmp_path / "jasmine.csv").write_text("a,b\n" + "".join(f"{index},{index % 2}\n" for index in range(20)))
    assert load("jasmine", tmp_path).kind == "binary"  # though it stands among the multi-class ones
    (tmp_path / "stock.csv").write_text("a,b\n" + "".join(f"{index},{index / 7}\n" for index in range(40)))
    assert load("stock", tmp_path).kind == "regression"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "has no kin8nm.csv or kin8nm.arff"), ("a,b\n", "expected a line of names"), ("a\n1\n2\n", "one column")],
)
def test_data_that_cannot_be_had_are_told_with_the_place(tmp_path, content, message):
    if content is not None:
        (tmp_path / "kin8nm.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        load("kin8nm", tmp_path)


def test_a_benchmark_of_one_s_own_is_a_list_of_names(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("- iris\n- {name: wine, openml_task_id: 1}\n")
    assert benchmark(str(file)) == ("iris", "wine")
    file.write_text("tasks: 3\n")
    with pytest.raises(NniError, match="expected a list of data set names"):
        benchmark(str(file))
    with pytest.raises(NniError, match="there is no benchmark 'nnilarge'; there are bundled, nnivalid"):
        benchmark("nnilarge")


def test_a_tuner_gets_every_result_and_stops_at_its_limit():
    steps = drive("TPE", {"seed": 1}, SPACE, lambda parameters, _: -parameters["n_estimators"], Limit(30))
    assert len(steps) == 30
    late = [step.parameters["n_estimators"] for step in steps[15:]]
    assert np.mean(late) < 3


def test_a_grid_ends_by_itself():
    assert len(drive("GridSearch", {}, SPACE, lambda *_: 0.0, Limit(100))) == 12


def test_a_configuration_that_cannot_be_evaluated_is_a_failed_trial():
    def evaluate(parameters, _):
        if parameters["max_depth"] == 4:
            raise ZeroDivisionError
        return 1.0

    steps = drive("Random", {"seed": 0}, SPACE, evaluate, Limit(20))
    assert {step.score for step in steps} == {1.0, None}


def test_an_assessor_and_a_space_that_a_tuner_refuses_are_told_in_words():
    with pytest.raises(NniError, match="Medianstop is an assessor"):
        drive("Medianstop", {}, SPACE, lambda *_: 0.0, Limit(1))
    with pytest.raises(NniError, match="GridSearch"):
        drive("GridSearch", {}, {"x": {"_type": "normal", "_value": [0, 1]}}, lambda *_: 0.0, Limit(1))


def result(tuner, value=None, metric="rmse", task="t"):
    scores = {} if value is None else {metric: value}
    return Result(tuner, task, 0, 0, metric, scores, problem="" if scores else "failed")


def test_ranks_are_by_the_metric_s_direction_and_equal_results_share_their_places():
    errors = [result("a", 1.0), result("b", 2.0), result("c", 2.0)]
    areas = [result("a", 0.5, "auc"), result("b", 0.9, "auc"), result("c", 0.7, "auc")]
    assert ranks(errors + areas) == {"rmse": {"a": 1, "b": 2.5, "c": 2.5}, "auc": {"a": 3, "b": 1, "c": 2}}


def test_a_tuner_that_failed_comes_last_and_one_that_never_worked_has_no_rank():
    found = [result("a", 1.0), result("b"), result("c"), result("a", 1.0, task="u"), result("b", 2.0, task="u")]
    assert ranks(found) == {"rmse": {"a": 1, "b": 2}}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nni.tools.hpo_benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_the_command_writes_both_reports_and_the_graphs_and_goes_on_where_it_stopped(tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    (tmp_path / "mine.yaml").write_text("[iris, diabetes, kc2]\n")
    output = tmp_path / "out"
    arguments = ["-b", tmp_path / "mine.yaml", "--search-space", tmp_path / "space.json", "--trials", "3", "-o", output]
    first = run("Random", *arguments, "--folds", "1")
    assert first.returncode == 0, first.stderr
    assert "No data for kc2" in first.stderr
    second = run("Random", "TPE", *arguments, "--folds", "1", "--jobs", "2")
    assert second.returncode == 0, second.stderr
    lines = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
    assert sorted((line["tuner"], line["task"]) for line in lines) == [
        *(("Random", "diabetes"), ("Random", "iris")),
        *(("TPE", "diabetes"), ("TPE", "iris")),
    ]
    assert "average rank" in (output / "reports" / "rankings.txt").read_text()
    assert "rmse" in (output / "reports" / "performances.txt").read_text()
    graphs = sorted(file.name for file in (output / "graphs").iterdir())
    assert graphs == [f"{task}_fold0_{kind}.png" for task in ("diabetes", "iris") for kind in ("best", "trials")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TPEE"], "did you mean 'TPE'"),
        (["-a", "svm"], "no architecture 'svm'; there are random_forest, mlp"),
        (["-b", "nnismall-regression"], "no task of this benchmark has data"),
        (["TPE", "--class-args", "TPE=seed"], "expected TUNER="),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, arguments, message):
    done = run(*arguments, "-o", tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
