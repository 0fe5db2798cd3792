"""``nnictl tensorboard`` with the real program (PLT-061)."""

from __future__ import annotations

import httpx
import pytest
from tensorboard_events import write_events

from nni.tools.nnictl._app import run

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("tensorboard")]


def test_it_starts_for_all_trials_that_wrote_something_and_stops(finished, free_port, capsys):
    assert run(["tensorboard", "start", finished.id]) == 1
    assert "is not running" in capsys.readouterr().err
    assert run(["view", finished.id, "-p", str(free_port)]) == 0
    capsys.readouterr()
    assert run(["tensorboard", "start"]) == 1
    assert "$NNI_OUTPUT_DIR/tensorboard" in capsys.readouterr().err

    trials = sorted(path.name for path in (finished.directory / "trials").iterdir())[:2]
    here, elsewhere = (finished.directory / "trials" / trial for trial in trials)
    write_events(here / "tensorboard", "loss", [1.0, 0.5])
    write_events(elsewhere / "nnioutput" / "tensorboard", "loss", [1.0, 0.5])  # as of a trial on another machine
    assert run(["tensorboard", "start"]) == 0
    said = capsys.readouterr()
    address = said.out.strip()
    runs = httpx.get(f"{address}data/runs", trust_env=False).json()
    assert sorted(name.partition("-")[2] for name in runs) == trials
    way = said.err.split()[-1]
    assert way == f"http://127.0.0.1:{free_port}/tensorboard/tb1/"
    assert httpx.get(f"{way}data/runs", trust_env=False).json() == runs

    assert run(["tensorboard", "start", finished.id]) == 0
    assert capsys.readouterr().out.strip() == address, "the one that runs is shown again"
    assert run(["tensorboard", "start", "--trial_id", trials[0]]) == 0
    assert capsys.readouterr().out.strip() != address
    assert run(["tensorboard", "stop"]) == 0
    assert "Stopped 2 TensorBoards" in capsys.readouterr().out
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)
