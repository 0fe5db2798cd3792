"""Files of ``nnictl experiment export`` (PLT-045, PLT-380)."""

from __future__ import annotations

import csv
import json

from nni.experiment.data import TrialMetricData, TrialResult
from nni.tools.nnictl import _export

RESULTS = [
    TrialResult({"lr": 0.1, "kernel": "rbf"}, 0.5, "VLqU9"),
    TrialResult({"lr": 0.2, "kernel": "poly"}, {"default": 0.9, "loss": 0.3}, "DLo6r"),
]
METRICS = [
    TrialMetricData(2, "VLqU9", "0", "PERIODICAL", 1, 0.4),
    TrialMetricData(1, "VLqU9", "0", "PERIODICAL", 0, 0.3),
]


def read_csv(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_json_is_a_list_that_import_reads(tmp_path):
    _export.write_json(tmp_path / "a.json", RESULTS, None)
    assert json.loads((tmp_path / "a.json").read_text()) == [
        {"parameter": {"lr": 0.1, "kernel": "rbf"}, "value": 0.5, "trialJobId": "VLqU9"},
        {"parameter": {"lr": 0.2, "kernel": "poly"}, "value": {"default": 0.9, "loss": 0.3}, "trialJobId": "DLo6r"},
    ]


def test_intermediate_results_come_in_their_order(tmp_path):
    _export.write_json(tmp_path / "a.json", RESULTS, METRICS)
    assert [record["intermediate"] for record in json.loads((tmp_path / "a.json").read_text())] == [[0.3, 0.4], []]


def test_csv_has_one_row_per_trial_with_reward_and_parameters(tmp_path):
    _export.write_csv(tmp_path / "a.csv", RESULTS, None)
    first, second = read_csv(tmp_path / "a.csv")
    assert first == {"trialJobId": "VLqU9", "reward": "0.5", "metric.loss": "", "lr": "0.1", "kernel": "rbf"}
    assert (second["reward"], second["metric.loss"]) == ("0.9", "0.3")


def test_csv_holds_intermediate_results_as_json(tmp_path):
    _export.write_csv(tmp_path / "a.csv", RESULTS, METRICS)
    assert [json.loads(row["intermediate"]) for row in read_csv(tmp_path / "a.csv")] == [[0.3, 0.4], []]


def test_a_parameter_named_like_a_column_keeps_its_own(tmp_path):
    _export.write_csv(tmp_path / "a.csv", [TrialResult({"reward": 3, "x": [1, 2]}, 0.5, "VLqU9")], None)
    (row,) = read_csv(tmp_path / "a.csv")
    assert row == {"trialJobId": "VLqU9", "reward": "0.5", "parameter.reward": "3", "x": "[1, 2]"}


def test_an_experiment_without_results_gives_an_empty_list_and_a_header(tmp_path):
    _export.write_json(tmp_path / "a.json", [], None)
    _export.write_csv(tmp_path / "a.csv", [], None)
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert (tmp_path / "a.csv").read_text().strip() == "trialJobId,reward"
