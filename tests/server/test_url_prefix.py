"""Behind a proxy such as JupyterLab's everything lies below one path, and every link stays below it (PLT-016, 225)."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from websockets.sync.client import connect

from nni.config import ExperimentConfig
from nni.experiment import Experiment
from nni.experiment.launch import LaunchOptions, create

pytestmark = pytest.mark.slow

PREFIX = "/user/proxy/8080"


@pytest.fixture
def root(isolated_home, free_port, tmp_path):
    """A manager below a prefix; what is given is the address without the prefix."""
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
    launched = create(config.canonical(), LaunchOptions(port=free_port, url_prefix=PREFIX.strip("/")))
    assert launched.urls == [f"http://127.0.0.1:{free_port}{PREFIX}"]
    return f"http://127.0.0.1:{free_port}"


def test_everything_lies_below_the_prefix_and_nothing_beside_it(root):
    for path in ("/", "", "/docs", "/api/v1/nni/check-status", "/api/v1/nni/docs", "/api/v1/nni/openapi.json"):
        assert httpx.get(root + PREFIX + path, trust_env=False, follow_redirects=True).status_code == 200, path
    for path in ("/", "/docs", "/api/v1/nni/check-status"):
        assert httpx.get(root + path, trust_env=False).status_code == 404, path


def test_every_link_of_the_pages_stays_below_the_prefix_and_leads_somewhere(root):
    for page in ("/", "/docs"):
        text = httpx.get(root + PREFIX + page, trust_env=False).text
        assert all(path.startswith(PREFIX) for path in re.findall(r'"([^" ]*/_nicegui/[^" ]+)"', text))
        links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', text) if not link.startswith("data:")]
        assert links
        for link in links:
            assert link.startswith(PREFIX)
            assert httpx.get(root + link, trust_env=False).status_code == 200, link


def test_events_come_through_it(root):
    with connect(f"{root.replace('http', 'ws')}{PREFIX}/api/v1/nni/events", proxy=None) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] in {"trials", "summary"}


def test_python_finds_it_by_its_port(root):
    experiment = Experiment.connect(int(root.rpartition(":")[2]))
    assert experiment.get_status() in {"INITIALIZED", "RUNNING", "NO_MORE_TRIAL", "DONE"}
    experiment.stop()
