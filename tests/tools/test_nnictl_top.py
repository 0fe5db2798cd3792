"""``nnictl top``: what it shows of each experiment, at two widths, and what it does where nothing can be watched."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from rich.console import Console

from nni.store.registry import RegistryEntry
from nni.tools.nnictl import _sight
from nni.tools.nnictl._app import run

BEST = {"id": "88j8z", "value": {"default": 0.0968839, "loss": 3}, "parameters": {"x": 1}}


def summary(**changes):
    return {
        "id": "egchD4qy",
        "name": "wine",
        "status": "RUNNING",
        "errors": [],
        "maxTrialNumber": 20,
        "execDuration": 200.0,
        "counts": {"RUNNING": 2, "WAITING": 1, "SUCCEEDED": 7, "FAILED": 1},
        "best": BEST,
        "waiting": None,
        **changes,
    }


@pytest.fixture
def entry(tmp_path):
    return RegistryEntry("egchD4qy", tmp_path, 8080, status="RUNNING", name="wine", urls=["http://127.0.0.1:8080"])


def drawn(sight: _sight.Sight, width: int) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(_sight.table([sight], width), *_sight.remarks([sight]), sep="\n")
    return capture.get()


def test_a_row_tells_status_progress_running_best_and_time(entry):
    words = drawn(_sight.Sight(entry, summary()), 80).split()
    assert words[-8:] == ["egchD4qy", "wine", "RUNNING", "8/20", "2", "0.0968839", "3m", "20s"]


def test_an_experiment_without_results_and_limits_has_dashes(entry):
    text = drawn(_sight.Sight(entry, summary(best=None, maxTrialNumber=None)), 120)
    assert "8/∞" in text
    assert "-" in text


def test_a_wide_terminal_also_shows_the_best_trial_and_the_address(entry):
    assert "88j8z" not in drawn(_sight.Sight(entry, summary()), 80)
    wide = drawn(_sight.Sight(entry, summary()), 160)
    assert "88j8z" in wide
    assert "http://127.0.0.1:8080" in wide


@pytest.mark.parametrize("width", [80, 100, 160])
def test_nothing_is_wider_than_the_terminal(entry, width):
    long = replace(entry, name="Wein-Prüfung 漢字 " * 5)
    text = drawn(_sight.Sight(long, summary(status="TUNER_NO_MORE_TRIAL", maxTrialNumber=100_000)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "8/100000" in text


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"waiting": "maxTrialNumber (20) is reached"}, "egchD4qy  maxTrialNumber (20) is reached"),
        ({"errors": ["no such class"], "waiting": "the experiment is in ERROR"}, "egchD4qy  no such class"),
    ],
)
def test_below_the_table_stands_why_nothing_starts(entry, changes, remark):
    assert drawn(_sight.Sight(entry, summary(**changes)), 80).splitlines()[-1].rstrip() == remark


def test_names_are_no_markup(entry):
    assert "[red]" in drawn(_sight.Sight(replace(entry, name="[red]wine"), summary()), 80)


def test_where_nothing_runs_there_is_nothing_to_watch(capsys):
    assert run(["top"]) == 1
    assert "no experiment is running" in capsys.readouterr().err
    assert run(["top", "nosuch"]) == 1
    assert "'nosuch'" in capsys.readouterr().err


def test_a_stopped_experiment_cannot_be_watched(add_stopped, capsys):
    add_stopped("egchD4qy")
    assert run(["top", "egch"]) == 1
    assert "nnictl resume egchD4qy" in capsys.readouterr().err


@pytest.mark.parametrize("period", ["0", "-1", "soon"])
def test_a_period_is_a_positive_number(period):
    assert run(["top", "--time", period]) == 2


class Manager(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(summary(name=self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_in_a_pipe_one_look_is_printed(add_running, free_port, capsys):
    with HTTPServer(("127.0.0.1", free_port), Manager) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        add_running("egchD4qy", free_port)
        assert run(["top", "--time", "1000"]) == 0
        server.shutdown()
    text = capsys.readouterr().out
    assert "1 experiment running" in text
    assert "8/20" in text
    assert "leaves" not in text


def test_a_manager_that_does_not_answer_spoils_no_other_row(add_running, free_port, capsys):
    add_running("egchD4qy", free_port)
    assert run(["top"]) == 0
    text = capsys.readouterr().out
    assert "egchD4qy" in text
    assert f"no experiment answers on port {free_port}" in text
