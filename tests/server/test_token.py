"""A manager on any other address than plain loopback wants a token from everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from nni.config import ExperimentConfig
from nni.experiment.launch import Launched, LaunchOptions, create
from nni.store.registry import ExperimentRegistry

pytestmark = pytest.mark.slow

HOST = "127.0.0.2"  # loopback, and yet not the address that is open by default


@pytest.fixture
def launched(isolated_home: Path, tmp_path: Path, free_port: int) -> Launched:
    config = ExperimentConfig.from_dict(
        {
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "trialCommand": "true",
            "trialCodeDirectory": str(tmp_path),
            "trialConcurrency": 1,
            "maxTrialNumber": 1,
            "tuner": {"name": "Random"},
            "trainingService": {"platform": "local"},
        }
    )
    return create(config.canonical(), LaunchOptions(port=free_port, host=HOST))


@pytest.fixture
def client(launched: Launched) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{HOST}:{launched.port}", trust_env=False) as opened:
        yield opened


def test_without_the_token_nothing_is_answered(client: httpx.Client, launched: Launched):
    files = ("/_nicegui/x.js", "/_nicegui_ws/socket.io/")
    for path in ("/", "/docs", "/api/v1/nni/check-status", "/api/v1/nni/openapi.json", *files):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "token" in answer.json()["error"]
    with pytest.raises(InvalidStatus):
        connect(f"ws://{HOST}:{launched.port}/api/v1/nni/events", proxy=None)
    assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 403


def test_the_printed_url_opens_the_page_and_what_follows(client: httpx.Client, launched: Launched):
    (url,) = launched.urls
    assert "token=" in url
    assert client.get(url).status_code == 200
    assert client.get("/api/v1/nni/check-status").status_code == 200, "the browser got a cookie"


def test_a_script_sends_the_token_as_a_header(client: httpx.Client, launched: Launched):
    token = launched.urls[0].partition("token=")[2]
    answer = client.get("/api/v1/nni/check-status", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_the_token_is_in_no_log_and_in_no_file_that_others_may_read(launched: Launched):
    token = launched.urls[0].partition("token=")[2]
    registry = ExperimentRegistry()
    entry = registry.get(launched.id)
    for path in entry.directory.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    assert registry.path.stat().st_mode & 0o077 == 0
