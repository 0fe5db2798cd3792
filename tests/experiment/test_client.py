"""The REST client against a real HTTP server: what it sends, how it reads answers, and what its errors say."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nni.experiment.client import ApiError, NniClient, NoAnswerError
from nni.experiment.data import TrialMetricData, TrialResult
from nni.store.registry import RegistryEntry


@pytest.fixture
def server():
    """Serve canned answers by method and path, and remember the requests."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            http.requests.append((self.command, self.path, self.rfile.read(length), self.headers))
            status, body = http.answers.get((self.command, self.path), (404, {"error": f"no route {self.path}"}))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.answers, http.requests = {}, []
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def client(server):
    with NniClient(server.server_port) as client:
        yield client


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    server.answers["GET", "/api/v1/nni/check-status"] = 200, {"status": "RUNNING", "errors": []}
    with NniClient(server.server_port) as client:
        assert client.check_status() == ("RUNNING", [])


def test_the_url_prefix_stands_before_the_api_root(server):
    server.answers["GET", "/my/nni/api/v1/nni/check-status"] = 200, {"status": "DONE", "errors": ["x"]}
    with NniClient(server.server_port, url_prefix="/my/nni/") as client:
        assert client.check_status() == ("DONE", ["x"])


def test_a_token_in_the_experiments_url_is_sent(server, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}/?token=secret"
    entry = RegistryEntry("a", tmp_path, server.server_port, urls=[url])
    server.answers["GET", "/api/v1/nni/experiment"] = 200, {}
    with NniClient.of(entry) as client:
        client.profile()
    assert server.requests[0][3]["Authorization"] == "Bearer secret"


def test_the_servers_reason_is_the_text_of_the_error(client, server):
    server.answers["DELETE", "/api/v1/nni/trial-jobs/nope"] = 404, {"error": "no trial 'nope'"}
    with pytest.raises(ApiError, match=r"^no trial 'nope'$") as caught:
        client.kill_trial("nope")
    assert caught.value.status == 404


def test_an_error_without_a_reason_names_the_request(client, server):
    server.answers["GET", "/api/v1/nni/experiment"] = 502, b"<html>"
    with pytest.raises(ApiError, match=r"GET http://127.0.0.1:\d+/api/v1/nni/experiment: 502"):
        client.profile()


def test_no_answer_names_the_port(free_port):
    with NniClient(free_port) as client, pytest.raises(NoAnswerError, match=f"port {free_port}"):
        client.check_status()


def test_an_update_sends_only_the_field_it_changes(client, server):
    server.answers["PUT", "/api/v1/nni/experiment?update_type=MAX_TRIAL_NUM"] = 200, b""
    client.update_profile("MAX_TRIAL_NUM", 20)
    assert json.loads(server.requests[0][2]) == {"params": {"maxTrialNumber": 20}}


def test_metrics_are_decoded_twice(client, server):
    record = {"timestamp": 1, "trialJobId": "a", "parameterId": 3, "type": "FINAL", "sequence": 0}
    server.answers["GET", "/api/v1/nni/metric-data"] = (
        200,
        [{**record, "data": json.dumps(json.dumps(value))} for value in (0.5, {"default": 1}, "text", float("inf"))],
    )
    metrics = client.metric_data()
    assert [metric.data for metric in metrics] == [0.5, {"default": 1}, "text", float("inf")]
    assert metrics[0] == TrialMetricData(1, "a", "3", "FINAL", 0, 0.5)


def test_what_a_trial_reported_as_text_stays_text(client, server):
    server.answers["GET", "/api/v1/nni/export-data"] = (
        200,
        [
            {"parameter": {"x": 1}, "value": "0.5", "trialJobId": "a"},
            {"parameter": {"x": 2}, "value": {"default": 0.6}, "trialJobId": "b"},
        ],
    )
    assert client.export_data() == [TrialResult({"x": 1}, "0.5", "a"), TrialResult({"x": 2}, {"default": 0.6}, "b")]


def test_trial_hyper_parameters_are_texts_of_json(client, server):
    text = json.dumps(
        {"parameter_id": 4, "parameter_source": "algorithm", "parameters": {"x": 1}, "parameter_index": 0}
    )
    server.answers["GET", "/api/v1/nni/trial-jobs/a"] = (
        200,
        {"trialJobId": "a", "status": "WAITING", "hyperParameters": [text]},
    )
    job = client.trial_job("a")
    assert job.hyperParameters[0].parameters == {"x": 1}
    assert (job.startTime, job.finalMetricData) == (None, [])


def test_all_pages_of_trials_are_fetched(client, server):
    items = [{"id": str(number)} for number in range(1500)]
    for offset in (0, 1000):
        path = f"/api/v1/nni/trials?offset={offset}&limit=1000&order=sequence"
        server.answers["GET", path] = 200, {"total": 1500, "items": items[offset : offset + 1000]}
    assert [row["id"] for row in client.trials()] == [item["id"] for item in items]


def test_a_limit_asks_for_no_more_than_that(client, server):
    path = "/api/v1/nni/trials?offset=0&limit=2&order=-metric&status=SUCCEEDED"
    server.answers["GET", path] = 200, {"total": 7, "items": [{"id": "a"}, {"id": "b"}]}
    assert len(client.trials(status="SUCCEEDED", order="-metric", limit=2)) == 2
