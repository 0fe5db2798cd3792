"""The REST surface of a real manager: the documented 2.x shapes, ours, and who may come in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from nni.config import ExperimentConfig
from nni.experiment.launch import Launched, LaunchOptions, create
from nni.store.registry import ExperimentRegistry

pytestmark = pytest.mark.slow

TRIAL = """
import sys, time
import nni
x = nni.get_next_parameter()["x"]
print("x is", x)
print("a complaint", file=sys.stderr)
for step in range(3):
    nni.report_intermediate_result(x * step)
if x == 0.5:
    time.sleep(600)
if x == 0.25:
    sys.exit(7)
nni.report_final_result({"default": x, "note": "fine"} if x > 0.1 else float("nan"))
"""
TUNER = """
from nni.tuner import Tuner

class Listed(Tuner):
    values = [0.3, 0.0, 0.25, 0.9]

    def update_search_space(self, search_space): ...

    def generate_parameters(self, parameter_id, **kwargs):
        return {"x": self.values[parameter_id % 4]}

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...
"""


class Manager:
    """A running manager and a client for it."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        self.root = f"http://127.0.0.1:{launched.port}"
        self.client = httpx.Client(base_url=f"{self.root}/api/v1/nni", trust_env=False, timeout=30)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, condition: Any, what: str) -> Any:
        deadline = time.monotonic() + 60
        while not (found := condition()):
            assert time.monotonic() < deadline, f"still waiting for {what}: {self.get('/summary')}"
            time.sleep(0.05)
        return found

    def trial(self, x: float) -> dict[str, Any]:
        return next(item for item in self.get("/trials", limit=1000)["items"] if item["parameters"]["x"] == x)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    folder = tmp_path_factory.mktemp("rest")
    (folder / "trial.py").write_text(TRIAL)
    (folder / "listed.py").write_text(TUNER)
    config = ExperimentConfig.from_dict(
        {
            "experimentName": "rest",
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": str(folder),
            "trialConcurrency": 2,
            "maxTrialNumber": 4,
            "experimentWorkingDirectory": str(folder / "experiments"),
            "tuner": {"className": "listed.Listed", "codeDirectory": str(folder)},
            "trainingService": {"platform": "local"},
        }
    )
    launched = create(config.canonical(), LaunchOptions(port=_free_port()))
    running = Manager(launched)
    running.until(lambda: running.get("/check-status")["status"] == "DONE", "the four trials")
    yield running
    running.client.delete("/experiment")
    running.client.close()
    registry = ExperimentRegistry()
    deadline = time.monotonic() + 30
    while registry.get(launched.id).alive and time.monotonic() < deadline:
        time.sleep(0.05)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_version_and_status(manager: Manager):
    assert manager.client.get("/version").text == "4.0.0.dev0"
    assert manager.get("/check-status") == {"status": "DONE", "errors": []}


def test_the_profile_has_the_documented_fields(manager: Manager):
    profile = manager.get("/experiment")
    assert {"id", "revision", "execDuration", "logDir", "nextSequenceId", "params", "startTime"} <= profile.keys()
    assert profile["nextSequenceId"] == 4
    assert profile["params"]["trialCommand"] == "python3 trial.py"


def test_trial_jobs_are_as_2x_clients_know_them(manager: Manager):
    jobs = {job["sequenceId"]: job for job in manager.get("/trial-jobs")}
    assert {number: job["status"] for number, job in jobs.items()} == {
        0: "SUCCEEDED",
        1: "SUCCEEDED",
        2: "FAILED",
        3: "SUCCEEDED",
    }
    parameters = json.loads(jobs[0]["hyperParameters"][0])
    assert parameters == {
        "parameter_id": 0,
        "parameter_source": "algorithm",
        "parameters": {"x": 0.3},
        "parameter_index": 0,
    }
    (final,) = jobs[0]["finalMetricData"]
    assert json.loads(json.loads(final["data"])) == {"default": 0.3, "note": "fine"}
    assert "finalMetricData" not in jobs[2]
    assert jobs[2]["stderrPath"].endswith("/stderr")
    assert "stderrPath" not in jobs[0]


def test_trial_jobs_can_be_asked_for_by_status_and_by_id(manager: Manager):
    (failed,) = manager.get("/trial-jobs", status="FAILED")
    assert manager.get(f"/trial-jobs/{failed['trialJobId']}") == failed


def test_statistics_leave_out_what_does_not_occur(manager: Manager):
    statistics = {item["trialJobStatus"]: item["trialJobNumber"] for item in manager.get("/job-statistics")}
    assert statistics == {"SUCCEEDED": 3, "FAILED": 1}


def test_metrics_are_encoded_twice_and_nan_survives(manager: Manager):
    records = manager.get("/metric-data")
    assert len(records) == 4 * 3 + 3
    assert {"timestamp", "trialJobId", "parameterId", "type", "sequence", "data"} == records[0].keys()
    nan = manager.trial(0.0)
    (final,) = manager.get(f"/metric-data/{nan['id']}", type="FINAL")
    assert json.loads(final["data"]) == "NaN"
    assert nan["value"] == "NaN"
    assert nan["metric"] is None


def test_metrics_can_be_asked_for_by_range_and_as_the_latest(manager: Manager):
    by_range = manager.get("/metric-data-range/1/2")
    assert len(by_range) == 4 + 3
    latest = manager.get("/metric-data-latest/")
    assert [record["sequence"] for record in latest if record["type"] == "PERIODICAL"] == [2, 2, 2, 2]


def test_export_can_be_imported(manager: Manager):
    exported = manager.get("/export-data")
    assert {"parameter", "value", "trialJobId"} == exported[0].keys()
    assert exported[0]["value"] == {"default": 0.3, "note": "fine"}
    assert manager.client.post("/experiment/import-data", json=exported[:1]).status_code == 200
    assert json.loads(manager.get("/experiment/imported-data")[-1]) == exported[:1]


def test_an_import_that_is_none_is_refused(manager: Manager):
    answer = manager.client.post("/experiment/import-data", json={"parameter": {}})
    assert answer.status_code == 409
    assert "must be a list" in answer.json()["error"]


def test_files_of_a_trial(manager: Manager):
    identifier = manager.trial(0.3)["id"]
    assert manager.client.get(f"/trial-file/{identifier}/trial.log").text == "x is 0.3\n"
    assert manager.client.get(f"/trial-file/{identifier}/stdout").text == "x is 0.3\n"
    assert manager.client.get(f"/trial-file/{identifier}/stderr").text == "a complaint\n"
    assert manager.client.get(f"/trial-file/{identifier}/parameter.cfg").status_code == 403
    assert manager.client.get(f"/trial-file/{identifier}/model.onnx").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/trial-file/..%2F..%2F..%2Fetc/trial.log",
        "/trial-log/%2e%2e/trial.log",
        "/logs/..%2Fdb%2Fnni.sqlite",
        "/logs/nni.sqlite",
    ],
)
def test_no_path_leads_out_of_the_experiment(manager: Manager, path: str):
    answer = manager.client.get(path)
    assert answer.status_code == 404
    assert b"SQLite" not in answer.content


def test_logs_have_a_head_and_a_tail(manager: Manager):
    whole = manager.client.get("/logs/nnimanager.log").text.splitlines()
    assert manager.client.get("/logs/nnimanager.log", params={"head": 1}).text.splitlines() == whole[:1]
    assert manager.client.get("/logs/nnimanager.log", params={"tail": 1}).text.splitlines()[-1]


@pytest.mark.parametrize(
    "path", ["/trial-jobs/nope1", "/trials/nope1", "/metric-data/nope1", "/trial-file/nope1/stderr"]
)
def test_an_unknown_trial_is_not_found(manager: Manager, path: str):
    answer = manager.client.get(path)
    assert answer.status_code == 404
    assert "nope1" in answer.json()["error"]


@pytest.mark.parametrize(
    "request_of", [("GET", "/trials/{}"), ("GET", "/trial-file/{}/stderr"), ("DELETE", "/trial-jobs/{}")], ids=str
)
def test_a_misspelt_trial_is_answered_with_the_one_that_is_meant(manager: Manager, request_of: tuple[str, str]):
    method, path = request_of
    identifier = manager.trial(0.3)["id"]
    answer = manager.client.request(method, path.format(identifier[:4]))
    assert answer.status_code == 404
    assert f"did you mean {identifier}" in answer.json()["error"]


def test_a_page_of_trials_is_ordered_filtered_and_cut(manager: Manager):
    page = manager.get("/trials", order="-metric", limit=2)
    assert page["total"] == 4
    assert [item["metric"] for item in page["items"]] == [0.9, 0.3]
    failed = manager.get("/trials", status="FAILED")
    assert [item["exitCode"] for item in failed["items"]] == [7]
    assert manager.get("/trials", after=page["revision"])["items"] == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 5000}, {"order": "odd"}, {"status": "ODD"}, {"offset": -1}])
def test_a_wrong_query_is_a_400_with_a_reason(manager: Manager, query: dict[str, Any]):
    answer = manager.client.get("/trials", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_summary_tells_best_counts_and_why_nothing_starts(manager: Manager):
    summary = manager.get("/summary")
    assert summary["best"]["parameters"] == {"x": 0.9}
    assert summary["counts"] == {"SUCCEEDED": 3, "FAILED": 1}
    assert "maxTrialNumber" in summary["waiting"]


def test_a_custom_trial_is_refused_when_the_budget_is_used_up(manager: Manager):
    answer = manager.client.post("/trial-jobs", json={"x": 0.7})
    assert answer.status_code == 409
    assert "maxTrialNumber" in answer.json()["error"]


@pytest.mark.parametrize(
    ("kind", "params", "word"),
    [
        ("TRIAL_CONCURRENCY", {"trialConcurrency": 0}, "trialConcurrency"),
        ("TRIAL_CONCURRENCY", {"maxTrialNumber": 3}, "trialConcurrency"),
        ("MAX_EXEC_DURATION", {"maxExperimentDuration": "5"}, "maxExperimentDuration"),
        ("MAX_TRIAL_NUM", {"maxTrialNumber": "many"}, "maxTrialNumber"),
        ("SEARCH_SPACE", {"searchSpace": None}, "searchSpace: required"),
        ("ODD", {"trialConcurrency": 1}, "ODD"),
    ],
)
def test_a_wrong_update_is_refused_with_the_key(manager: Manager, kind: str, params: dict[str, Any], word: str):
    before = manager.get("/experiment")["revision"]
    answer = manager.client.put("/experiment", params={"update_type": kind}, json={"params": params})
    assert answer.status_code in {400, 409}
    assert word in answer.json()["error"]
    assert manager.get("/experiment")["revision"] == before


def test_a_raised_limit_starts_the_experiment_again_and_a_trial_can_be_killed(manager: Manager):
    before = manager.get("/experiment")["revision"]
    put = manager.client.put(
        "/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 5}}
    )
    assert put.status_code == 200
    profile = manager.get("/experiment")
    assert profile["revision"] == before + 1
    assert profile["params"]["maxTrialNumber"] == 5
    manager.until(lambda: manager.get("/check-status")["status"] == "DONE", "the fifth trial")
    put = manager.client.put(
        "/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 6}}
    )
    answer = manager.client.post("/trial-jobs", json={"x": 0.5})
    if answer.status_code == 409:  # the tuner was quicker: its own trial took the place
        manager.client.put(
            "/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 50}}
        )
        answer = manager.client.post("/trial-jobs", json={"x": 0.5})
    assert answer.status_code == 200
    sequence = answer.json()["sequenceId"]
    job = manager.until(
        lambda: next(
            (j for j in manager.get("/trial-jobs") if j["sequenceId"] == sequence and j["status"] == "RUNNING"), None
        ),
        "the custom trial to run",
    )
    assert json.loads(job["hyperParameters"][0])["parameter_source"] == "customized"
    assert manager.client.delete(f"/trial-jobs/{job['trialJobId']}").status_code == 200
    manager.until(lambda: manager.get(f"/trial-jobs/{job['trialJobId']}")["status"] == "USER_CANCELED", "the kill")
    again = manager.client.delete(f"/trial-jobs/{job['trialJobId']}")
    assert again.status_code == 409


def test_events_give_the_summary_and_every_trial_and_then_what_changes(manager: Manager):
    with connect(f"{manager.root.replace('http', 'ws')}/api/v1/nni/events", proxy=None) as socket:
        first = json.loads(socket.recv(timeout=10))
        assert first["type"] == "trials"
        assert len(first["items"]) >= 4
        assert json.loads(socket.recv(timeout=10))["type"] == "summary"


def test_pages_answer_without_any_reference_to_the_network(manager: Manager):
    for path in ("/", "/oview", "/docs", "/api/v1/nni/docs"):
        answer = httpx.get(manager.root + path, trust_env=False)
        assert answer.status_code == 200
        assert "://" not in answer.text.replace(manager.root, "")


def test_openapi_lists_every_documented_path(manager: Manager):
    paths = manager.get("/openapi.json")["paths"]
    root = "/api/v1/nni"
    for path in ("/version", "/check-status", "/experiment", "/trial-jobs", "/metric-data", "/export-data", "/trials"):
        assert root + path in paths


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example:80"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
    ids=["a name that resolves to loopback", "a page of somebody else's", "a sandboxed page"],
)
def test_other_peoples_web_pages_are_kept_out(manager: Manager, headers: dict[str, str]):
    answer = manager.client.get("/check-status", headers=headers)
    assert answer.status_code == 403


def test_unknown_routes_are_json_too(manager: Manager):
    answer = manager.client.get("/odd")
    assert answer.status_code == 404
    assert "error" in answer.json()
