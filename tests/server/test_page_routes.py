"""The routes that the page lives on, asked without a page, over an experiment at rest."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nni.server.app import build
from nni.server.viewed import ViewedExperiment
from nni.store import Batch, Metric, Profile, Store, Trial, TrialStatus
from nni.store.registry import ExperimentRegistry, RegistryEntry

API = "/api/v1/nni"
CONFIG = {
    "experimentName": "routes",
    "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
    "trialCommand": "true",
    "trialConcurrency": 1,
    "tuner": {"name": "Random"},
    "trainingService": {"platform": "local"},
}


@pytest.fixture
def directory(isolated_home: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "EXPERIME"
    (directory / "db").mkdir(parents=True)
    store = Store(directory / "db" / "nni.sqlite")
    rows = {
        place: Trial(
            f"t{place}", place, place, "algorithm", f'{{"x":{place / 10}}}', TrialStatus.SUCCEEDED, "",
            1, 1000, 2000 + place, 0, None, 2, str(place / 10), place / 10,
        )
        for place in range(5)
    }  # fmt: skip
    metrics = [Metric(place, 0, "PERIODICAL", 0, 1, place, "0.5") for place in rows]
    store.commit(Batch(rows, metrics, [], Profile("EXPERIME", CONFIG, start_time=1000, next_sequence=5)))
    store.close()
    trial = directory / "trials" / "t1"
    trial.mkdir(parents=True)
    (trial / "trial.log").write_text("hello\n")
    (directory / "secret").write_text("not for everybody")
    (trial / "link").symlink_to(directory / "secret")
    ExperimentRegistry().add(RegistryEntry("EXPERIME", directory, 8080, status="STOPPED"))
    return directory


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = build(ViewedExperiment(directory), ExperimentRegistry(), "", None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://127.0.0.1{API}") as opened:
        yield opened
    await app.state.close()


async def test_all_trials_come_compressed_and_the_same_bytes_serve_every_page(client: httpx.AsyncClient):
    first = await client.get("/columns")
    assert first.headers["content-encoding"] == "gzip"
    assert [row[1] for row in first.json()["rows"]] == ["t0", "t1", "t2", "t3", "t4"]
    again = await client.send(client.build_request("GET", "/columns"), stream=True)
    raw = b"".join([piece async for piece in again.aiter_raw()])
    assert json.loads(gzip.decompress(raw)) == first.json()
    plain = await client.get("/columns", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == first.json()


async def test_a_delta_after_the_newest_revision_is_empty(client: httpx.AsyncClient):
    revision = (await client.get("/columns")).json()["revision"]
    assert (await client.get("/columns", params={"after": revision})).json()["rows"] == []


async def test_a_search_is_answered_and_a_wrong_one_is_refused_with_the_reason(client: httpx.AsyncClient):
    where = json.dumps([{"name": "x", "low": 0.25}])
    answer = (await client.get("/columns/search", params={"where": where, "order": "metric", "limit": 1})).json()
    assert (answer["total"], [row[1] for row in answer["rows"]]) == (2, ["t3"])
    for query in ({"where": "[1]"}, {"where": "{"}, {"order": "beauty"}, {"limit": 0}, {"status": "GONE"}):
        wrong = await client.get("/columns/search", params=query)
        assert wrong.status_code == 400, query
        assert wrong.json()["error"]


async def test_files_of_a_trial_are_given_and_nothing_beyond_its_directory(client: httpx.AsyncClient):
    assert [file["name"] for file in (await client.get("/trials/t1/files")).json()] == ["trial.log"]
    answer = await client.get("/trials/t1/files/trial.log")
    assert answer.text == "hello\n"
    assert answer.headers["content-type"] == "application/octet-stream"
    for name in ("link", "..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "trial.log%2F..%2F..%2F..%2Fsecret", "absent"):
        refused = await client.get(f"/trials/t1/files/{name}")
        assert refused.status_code == 404, name
    assert (await client.get("/trials/nobody/files")).status_code == 404


async def test_a_file_that_is_no_model_is_refused_in_one_line(client: httpx.AsyncClient, directory: Path):
    path = directory / "trials" / "t1" / "model.onnx"
    for content in (b"\x00" * 10, b"\x3a\xff\x01", b"hello", b"\x08\x01"):
        path.write_bytes(content)
        answer = await client.get("/trials/t1/model")
        assert answer.status_code == 400, content
        assert "not a readable ONNX model" in answer.json()["error"]
    assert (await client.get("/trials/t2/model")).status_code == 404


async def test_the_best_results_so_far_of_any_experiment_can_be_asked_for(client: httpx.AsyncClient):
    answer = (await client.get("/experiments/EXPERIME/history")).json()
    assert [point[2] for point in answer["best"]] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert answer["best"][0][:2] == [0, 1.0]
    assert (answer["name"], answer["trials"], answer["maximize"]) == ("routes", 5, True)
    assert (await client.get("/experiments/UNKNOWN1/history")).status_code == 400


async def test_tensorboard_says_what_it_needs(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch):
    import importlib.util

    present = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else present(name, *rest)
    )
    answer = await client.post("/tensorboard", json={"trials": "t1"})
    assert answer.status_code == 409
    assert "pip install 'nni[tensorboard]'" in answer.json()["error"]
    assert (await client.post("/tensorboard", json={})).status_code == 400
    assert (await client.post("/tensorboard", json={"trials": "nobody"})).status_code == 404
    assert (await client.get("/tensorboard/tb7")).status_code == 404
    assert (await client.get("/tensorboard-tasks")).json() == []
    assert (await client.delete("/tensorboard-tasks")).status_code == 200


async def test_an_unknown_route_of_the_api_is_no_page(client: httpx.AsyncClient):
    answer = await client.get("/summery")
    assert answer.status_code == 404
    assert "no such route" in answer.json()["error"]


def test_nothing_of_the_page_is_imported_before_somebody_asks_for_it(directory: Path):
    script = f"""
import asyncio, sys
from pathlib import Path
import httpx
from nni.server.app import build
from nni.server.viewed import ViewedExperiment
from nni.store.registry import ExperimentRegistry

async def main():
    app = build(ViewedExperiment(Path({str(directory)!r})), ExperimentRegistry(), "", None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get("{API}/columns")).status_code == 200
        assert "nicegui" not in sys.modules and "nni.webui" not in sys.modules
        page = await client.get("/oview")
        assert page.status_code == 200 and "nicegui" in sys.modules
        assert "default-src 'self'" in page.headers["content-security-policy"]
    await app.state.close()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
