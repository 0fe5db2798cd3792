"""Experiments and trials in words: what a person can still read."""

from __future__ import annotations

import pytest
from rich.console import Console

from nni.experiment._progress import state
from nni.store.registry import RegistryEntry
from nni.tools.nnictl import _describe

SUMMARY = {
    "status": "ERROR",
    "errors": ["no such class", "no such class", "the dispatcher ended"],
    "waiting": None,
    "counts": {"SUCCEEDED": 2},
    "maxTrialNumber": 4,
    "execDuration": 1.0,
    "maxExperimentDuration": None,
    "trialConcurrency": 1,
    "tuner": "TPE",
    "optimizeMode": "maximize",
    "best": None,
}


def shown(tmp_path, **changes) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(_describe.experiment(RegistryEntry("egchD4qy", tmp_path), {**SUMMARY, **changes}, 1))
    return capture.get()


def test_each_error_stands_once_on_its_own_line(tmp_path):
    lines = [line.split() for line in shown(tmp_path).splitlines()]
    assert ["Error", "no", "such", "class"] in lines
    assert ["the", "dispatcher", "ended"] in lines
    assert sum("such" in line for line in lines) == 1


def test_what_ends_an_experiment_is_no_waiting(tmp_path):
    reason = "maxTrialNumber (4) is reached"
    assert f"Because      {reason}" in shown(tmp_path, status="DONE", errors=[], waiting=reason)
    reason = "the tuner is computing"
    assert f"Waiting      {reason}" in shown(tmp_path, status="RUNNING", errors=[], waiting=reason)


def test_huge_configurations_do_not_flood_the_terminal():
    text = _describe.parameters({f"x{number}": "v" * 100 for number in range(1000)})
    assert len(text) < 1000
    assert text.endswith("…")
    assert _describe.parameters({"x": 0.25, "kind": "a"}) == "x=0.25, kind=a"


def test_trials_that_wait_are_named_by_their_reason():
    reasons = ["no free GPU", "trialConcurrency (2): as many run already"]
    rows = [{"id": f"t{number}", "status": "WAITING", "message": reasons[number > 0]} for number in range(8)]
    rows += [{"id": "run", "status": "RUNNING", "message": ""}, {"id": "new", "status": "WAITING", "message": ""}]
    assert _describe.why_waiting(rows) == [
        "waiting: t0 (no free GPU)",
        "waiting: t1, t2, t3, t4, t5 and 2 more (trialConcurrency (2): as many run already)",
    ]


@pytest.mark.parametrize("width", [30, 40, 60])
def test_ids_are_whole_however_narrow_the_terminal(tmp_path, width):
    console = Console(width=width, no_color=True)
    row = {"id": "nrbb2", "sequence": 10, "status": "SUCCEEDED", "startTime": 0, "endTime": 9}
    with console.capture() as capture:
        console.print(_describe.experiments([RegistryEntry("egchD4qy", tmp_path, name="a long name")], width))
        console.print(_describe.trials([{**row, "value": 0.123456789, "parameters": {"x": 1}}], width))
    assert "egchD4qy " in capture.get()
    assert "nrbb2 " in capture.get()


def test_what_a_stop_took_away_counts_against_no_limit(tmp_path):
    counts = {"SUCCEEDED": 2, "FAILED": 1, "EARLY_STOPPED": 1, "SYS_CANCELED": 3, "RUNNING": 0}
    assert "Trials       4/4   2 SUCCEEDED  1 FAILED  1 EARLY_STOPPED  3 SYS_CANCELED" in shown(tmp_path, counts=counts)
    assert state({**SUMMARY, "counts": counts}).startswith("4/4, 1 failed")


def test_where_trials_ran_is_shown_where_it_is_not_this_machine_alone():
    console = Console(width=140, no_color=True)
    row = {"sequence": 1, "status": "SUCCEEDED", "startTime": 0, "endTime": 9, "value": 1, "parameters": {"x": 1}}
    local = [{**row, "id": name, "service": "local"} for name in ("one", "two")]
    for rows, shows in ((local, False), ([local[0], {**local[1], "service": "slurm"}], True)):
        with console.capture() as capture:
            console.print(_describe.trials(rows, 140))
        assert ("Service" in capture.get()) is shows
        assert ("slurm" in capture.get()) is shows


def test_trials_that_were_run_again_are_named():
    rows = [{"id": "one", "runs": 1}, {"id": "two", "runs": 3}, {"id": "three"}]  # the last one's manager is older
    assert _describe.run_again(rows) == ["run again, the machine was lost: two (run 3)"]
    assert _describe.run_again(rows[:1]) == []
