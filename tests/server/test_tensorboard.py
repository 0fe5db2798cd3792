"""The real TensorBoard over real event files: started, asked through the manager, stopped (PLT-324 to 327)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from tensorboard_events import write_events

from nni.server.app import build
from nni.server.viewed import ViewedExperiment
from nni.store import Batch, Profile, Store, Trial, TrialStatus
from nni.store.registry import ExperimentRegistry

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("tensorboard")]

PREFIX, TOKEN = "/user/proxy", "secret"


@pytest.fixture
def directory(isolated_home: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "EXPERIME"
    (directory / "db").mkdir(parents=True)
    store = Store(directory / "db" / "nni.sqlite")
    rows = {
        number: Trial(f"t{number}", number, number, "algorithm", "{}", TrialStatus.SUCCEEDED, "", 1, 1, 2, 0, None, 0)
        for number in range(4)
    }
    config = {"trialCommand": "true", "trialConcurrency": 1, "trainingService": {"platform": "local"}}
    store.commit(Batch(rows, [], [], Profile("EXPERIME", config, start_time=1, next_sequence=4)))
    store.close()
    for number in (1, 2):
        write_events(directory / "trials" / f"t{number}" / "tensorboard", "loss", [3.0 / number, 2.0 / number])
    return directory


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = build(ViewedExperiment(directory), ExperimentRegistry(), PREFIX, TOKEN)
    url, headers = f"http://somewhere{PREFIX}", {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=url, headers=headers, timeout=60
    ) as opened:
        yield opened
    await app.state.close()


async def start(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post("/api/v1/nni/tensorboard", json=body)


async def test_several_trials_are_shown_under_their_numbers_and_ids_and_end_together(client: httpx.AsyncClient):
    answer = await start(client, trials="t1,t2")
    assert answer.status_code == 200, answer.text
    task = answer.json()
    assert (task["status"], task["trialJobIdList"]) == ("RUNNING", ["t1", "t2"])
    way = f"/tensorboard/{task['id']}/"
    page = await client.get(way)
    assert "TensorBoard" in page.text
    assert (await client.get(f"{way}data/runs")).json() == ["1-t1", "2-t2"]
    scalars = await client.get(f"{way}data/plugin/scalars/scalars", params={"run": "2-t2", "tag": "loss"})
    assert [point[1:] for point in scalars.json()] == [[0, 1.5], [1, 1.0]]
    several = await client.post(f"{way}data/plugin/scalars/scalars_multirun", data={"tag": "loss", "runs": ["1-t1"]})
    assert list(several.json()) == ["1-t1"]

    process = psutil.Process(task["pid"])
    family = [process, *process.children(recursive=True)]
    second = (await start(client, trials="t1")).json()
    assert second["port"] != task["port"]
    assert (await client.delete("/api/v1/nni/tensorboard-tasks")).status_code == 200
    psutil.wait_procs(family, timeout=20)
    assert not any(one.is_running() for one in family)
    assert (await client.get("/api/v1/nni/tensorboard-tasks")).json() == []
    assert (await client.get(way)).status_code == 404


async def test_it_is_reached_with_the_token_only_and_is_not_told_it(client: httpx.AsyncClient):
    task = (await start(client, trials="t1")).json()
    way = f"/tensorboard/{task['id']}"
    assert (await client.get(f"{way}/", headers={"Authorization": ""})).status_code == 403
    moved = await client.get(way)
    assert moved.headers["location"].endswith(f"{PREFIX}{way}/")
    assert (await client.get(f"{way}/data/runs", params={"token": TOKEN})).json() == ["1-t1"]
    said = Path(task["trialLogDirectoryList"][0]).parents[2]
    assert all(TOKEN.encode() not in path.read_bytes() for path in said.rglob("*") if path.is_file())
    async with httpx.AsyncClient(trust_env=False) as outside:  # loopback, whatever the manager listens on
        assert (await outside.get(f"http://127.0.0.1:{task['port']}/data/runs")).json() == ["1-t1"]
    sockets = psutil.Process(task["pid"]).net_connections()
    assert {one.laddr.ip for one in sockets if one.laddr.port == int(task["port"])} == {"127.0.0.1"}


async def test_what_cannot_be_shown_is_refused_with_the_reason(client: httpx.AsyncClient, free_port: int):
    assert "has written nothing" in (await start(client, trials="t1,t3")).json()["error"]
    assert "a number from 1" in (await start(client, trials="t1", port="many")).json()["error"]
    first = (await start(client, trials="t1", port=free_port)).json()
    assert first["port"] == str(free_port)
    taken = await start(client, trials="t2", port=free_port)
    assert taken.status_code == 409
    assert f"port {free_port}" in taken.json()["error"]
    assert "there are: tb1" in (await client.get("/tensorboard/tb9/")).json()["error"]


def test_it_ends_when_its_manager_is_killed(directory: Path, free_port: int):
    command = [sys.executable, "-m", "nni.server.tensorboard_process", "--logdir", str(directory / "trials")]
    manager = f"import subprocess, sys\nchild = subprocess.Popen({[*command, '--host', '127.0.0.1', '--port', str(free_port)]!r}, stdin=subprocess.PIPE, start_new_session=True)\nprint(child.pid, flush=True)\nchild.wait()"  # noqa: E501
    with subprocess.Popen([sys.executable, "-c", manager], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
