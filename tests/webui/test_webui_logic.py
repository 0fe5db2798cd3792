"""What pages say and what forms read, without a browser: NiceGUI's own user clicks and looks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_simulation import user_simulation

from nni.server.viewed import ViewedExperiment
from nni.webui.customized import CustomizedTrial
from nni.webui.live import Live
from nni.webui.overview import _remaining, ended, last_traceback, traceback_of
from nni.webui.pages import register
from nni.webui.steering import duration_or_none, json_object, whole_number, whole_number_or_none
from nni.webui.text import duration


@pytest.fixture
def live(tmp_path: Path) -> Live:
    from webui_lab import store_of_many

    store_of_many(tmp_path / "MANYMANY", 12)
    return Live(ViewedExperiment(tmp_path / "MANYMANY"))


@pytest.fixture(autouse=True)
def _modules_stay():
    """NiceGUI's simulation forgets the modules that register pages, and with them ``nni`` for every test after it."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "nni"}
    yield
    sys.modules.update(before)


async def test_the_overview_tells_status_best_result_and_limits(live: Live):
    async with user_simulation() as user:
        register(live, "/api/v1/nni")
        await user.open("/oview")
        await user.should_see("Viewed")
        await user.should_see("0.916667")
        await user.should_see("no limit")
        await user.should_not_see("Edit")


async def test_viewers_open_on_a_click(live: Live):
    async with user_simulation() as user:
        register(live, "/api/v1/nni")
        await user.open("/detail")
        user.find("Config").click()
        await user.should_see("trialCommand")


class Changed:
    """Stands at the end of the form: keeps what the form hands over."""

    def __init__(self, live: Live, space: dict[str, Any]) -> None:
        self.profile = live.experiment.profile
        self.profile.config["searchSpace"] = space
        self.added: list[Any] = []

    async def add_trial(self, parameters: Any) -> int:
        self.added.append(parameters)
        return 7


async def open_form(user: User, live: Live, space: dict[str, Any], trial: dict[str, Any] | None = None) -> Changed:
    end = Changed(live, space)
    live.experiment = end

    @ui.page("/form")
    def form() -> None:
        CustomizedTrial(live).open(trial)

    await user.open("/form")
    return end


async def test_the_form_of_a_trial_keeps_types(live: Live):
    space = {
        "lr": {"_type": "loguniform", "_value": [0.001, 0.1]},
        "n": {"_type": "randint", "_value": [1, 9]},
        "on": {"_type": "choice", "_value": [True, False]},
        "kind": {"_type": "choice", "_value": ["1", 1]},
    }
    given = {"sequence": 3, "parameters": {"lr": 0.01, "n": 4, "on": False, "kind": 1}}
    async with user_simulation() as user:
        end = await open_form(user, live, space, given)
        user.find("Submit").click()
        await user.should_see("Queued as trial 7")
    assert end.added == [given["parameters"]]
    assert [type(value) for value in end.added[0].values()] == [float, int, bool, int]


async def test_the_form_of_a_trial_knows_nested_choices(live: Live):
    space = {
        "layer": {
            "_type": "choice",
            "_value": [{"_name": "Empty"}, {"_name": "Conv", "size": {"_type": "choice", "_value": [3, 5]}}],
        }
    }
    given = {"sequence": 3, "parameters": {"layer": {"_name": "Conv", "size": 5}}}
    async with user_simulation() as user:
        end = await open_form(user, live, space, given)
        user.find("Submit").click()
        await user.should_see("Queued as trial 7")
    assert end.added == [given["parameters"]]


async def test_a_form_says_which_field_is_wrong(live: Live):
    async with user_simulation() as user:
        end = await open_form(user, live, {"n": {"_type": "randint", "_value": [1, 9]}})
        user.find("Submit").click()
        await user.should_see("n: a number is expected")
    assert end.added == []


@pytest.mark.parametrize("text", ["", "x", "1.5", "0", "-1"])
def test_what_is_no_whole_number_is_refused(text: str):
    with pytest.raises(ValueError, match="expected"):
        whole_number(text)


def test_nothing_means_no_limit():
    assert whole_number_or_none(" ") is None
    assert duration_or_none(" ") is None
    assert whole_number_or_none(" 12 ") == 12
    assert duration_or_none(" 2h ") == "2h"


def test_json_is_refused_with_the_place():
    with pytest.raises(ValueError, match="line 2, column 1"):
        json_object('{"x":\n]')
    with pytest.raises(ValueError, match="object"):
        json_object("[1]")


def summary(**changes: Any) -> dict[str, Any]:
    counts = {"SUCCEEDED": 4, "RUNNING": 1}
    known = {
        "status": "RUNNING",
        "execDuration": 40.0,
        "maxExperimentDuration": None,
        "maxTrialNumber": None,
        "counts": counts,
    }
    return {**known, **changes}


def test_before_the_first_trial_has_ended_the_remaining_time_is_not_known():
    assert _remaining(summary(maxTrialNumber=8, counts={"RUNNING": 2})) == "not known yet"


def test_an_error_is_explained_by_the_log_that_ends_as_it_says(tmp_path: Path):
    trace = "Traceback (most recent call last):\n  File 1\n{}\n"
    assert traceback_of("KeyError: 'x'", tmp_path) == ("nnimanager.log", "")
    (tmp_path / "dispatcher.log").write_text(trace.format("ValueError: old"))
    (tmp_path / "nnimanager.log").write_text(trace.format("OSError: disk full"))
    name, found = traceback_of("the manager failed: OSError: disk full", tmp_path)
    assert (name, found.splitlines()[-1]) == ("nnimanager.log", "OSError: disk full")
    assert traceback_of("something else", tmp_path)[0] == "dispatcher.log"


def test_the_remaining_time_is_never_negative():
    assert _remaining(summary(maxExperimentDuration=30)) == "0s"
    assert _remaining(summary(maxExperimentDuration=100)) == "1m 0s"
    assert _remaining(summary(maxTrialNumber=8)) == "about 40s"
    assert _remaining(summary(maxTrialNumber=2)) == "about 0s"
    assert _remaining(summary()) == "no limit"
    assert _remaining(summary(status="DONE")) == "\N{EN DASH}"
    assert ended(summary()) == 4


def test_the_last_traceback_of_a_log_is_found(tmp_path: Path):
    log = tmp_path / "dispatcher.log"
    assert last_traceback(log) == ""
    log.write_text("fine\n")
    assert last_traceback(log) == ""
    old = "Traceback (most recent call last):\n  File\nValueError: old\n"
    log.write_text(
        f"{old}[x] INFO\nTraceback (most recent call last):\n  File 1\n\n    code\nKeyError: new\n[x] INFO on\n"
    )
    assert last_traceback(log) == "Traceback (most recent call last):\n  File 1\n\n    code\nKeyError: new"


def test_durations_read_well():
    assert [duration(value) for value in (-5, 0, 59.9, 61, 3700, 90_000)] == [
        "0s",
        "0s",
        "59s",
        "1m 1s",
        "1h 1m",
        "1d 1h",
    ]
