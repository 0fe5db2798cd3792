"""The process of tuner and assessor dies, by SIGKILL or by its own fault (PLT-156, PLT-366, PLT-424)."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter

import pytest
from reliability_lab import Lab, alive

from nni.manager import events as ev
from nni.manager.events import Moment
from nni.manager.state import ExperimentState
from nni.store import Profile

TRIAL = """
import time, witness
parameters = witness.start()
witness.report("PERIODICAL", 1)
time.sleep(0.3)
witness.report("FINAL", parameters["id"])
"""

# {where} is replaced by a method that fails, {how} by how it does.
FAULTY = """
import os, signal
from recorder import HERE, Recorder, note

class Faulty(Recorder):
    def {where}(self, *args, **kwargs):
        note("before the fault")
        {how}
"""
DIES = "os.kill(os.getpid(), signal.SIGKILL)"
RAISES = "raise RuntimeError('the flux capacitor is empty')"


@pytest.fixture
def faulty(lab: Lab):
    """Start an experiment whose tuner fails in one method."""

    def start(where: str, how: str, **changes):
        lab.write("trial.py", TRIAL)
        lab.write("faulty.py", FAULTY.format(where=where, how=how))
        lab.start(tuner={"className": "faulty.Faulty", "codeDirectory": str(lab.code)}, **changes)
        return lab

    return start


def check_status(lab):
    answer = lab.get("/check-status")
    return answer["status"], " | ".join(answer["errors"])


@pytest.mark.slow
def test_a_killed_dispatcher_is_started_again_and_told_everything_once(lab):
    lab.write("trial.py", TRIAL)
    lab.start(trialConcurrency=3)
    for number in range(5):
        results = len(lab.told("result"))
        lives = len(lab.told("space"))
        lab.wait(lambda: lab.dispatcher() and len(lab.told("result")) > results, "results to come in")  # noqa: B023
        os.kill(lab.dispatcher(), signal.SIGKILL)
        lab.wait(lambda: len(lab.told("space")) > lives, f"dispatcher {number + 2}")  # noqa: B023
        asked = len(lab.told("asked"))
        lab.wait(lambda: len(lab.told("asked")) > asked, "it to be asked for something")  # noqa: B023
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=len(lab.trials()) + 2)
    trials = lab.wait_for_end()
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
    life = lab.told("space")[-1]["life"]
    expected = {trial["parameterId"]: 1 for trial in trials}
    assert Counter(note["id"] for note in lab.told("result") if note["life"] == life) == expected
    assert Counter(note["id"] for note in lab.told("end") if note["life"] == life) == expected
    for note in lab.told("result"):
        assert note["value"] == note["parameters"]["id"] == note["id"]
    for each in {note["life"] for note in lab.told("space")}:
        told = Counter(note["id"] for note in lab.told("result") if note["life"] == each)
        assert not told or max(told.values()) == 1, "one dispatcher was told a result twice"


@pytest.mark.parametrize(("idle", "status"), [(3600.0, "RUNNING"), (1.0, "ERROR")])
def test_a_dispatcher_killed_twice_in_long_idle_hours_is_not_given_up(lab, idle, status):
    """Nobody waits for an hour: the decisions alone, with every slot taken by long trials."""
    state = ExperimentState(Profile("reLiab01", lab.config(trialConcurrency=1)))
    now = 0.0

    def happen(event, after=0.0):
        nonlocal now
        now += after
        return state.handle(event, Moment(0, now))

    happen(ev.Started())
    happen(ev.DispatcherStarted())
    happen(ev.ParametersGenerated(0, "{}"))
    for _ in range(2):
        happen(ev.DispatcherLost("ended with signal 9"), after=idle)
        happen(ev.DispatcherStarted())
        happen(ev.DispatcherReady())
    assert state.status.value == status


@pytest.mark.slow
def test_a_tuner_that_dies_again_at_the_same_request_ends_in_error(faulty):
    lab = faulty("generate_parameters", DIES)
    lab.wait(lambda: lab.status() == "ERROR", "ERROR")
    _, errors = check_status(lab)
    assert "signal 9" in errors
    assert "signal 9" in lab.get("/summary")["waiting"]
    assert len({note["life"] for note in lab.told("before the fault")}) == 2, "it gets exactly one second chance"
    assert lab.dispatcher() is None
    assert lab.trials() == []


@pytest.mark.slow
def test_a_tuner_that_dies_with_trials_under_way_lets_them_end(faulty):
    lab = faulty("receive_trial_result", DIES, trialConcurrency=2)
    lab.wait(lambda: lab.status() == "ERROR", "ERROR")
    lab.wait(lambda: set(lab.statuses()) == {"SUCCEEDED"}, "the trials to end")
    assert lab.status() == "ERROR"
    reported = {trial: value for trial, _, kind, _, value, _ in lab.noted("reports") if kind == "FINAL"}
    assert {trial["id"]: trial["value"] for trial in lab.trials()} == reported


@pytest.mark.slow
@pytest.mark.parametrize("where", ["__init__", "update_search_space", "generate_parameters"])
def test_a_tuner_that_raises_where_nothing_can_go_on_ends_in_error_with_the_reason(faulty, where):
    lab = faulty(where, RAISES)
    lab.wait(lambda: lab.status() == "ERROR", "ERROR")
    _, errors = check_status(lab)
    assert f"Faulty.{where} failed: RuntimeError: the flux capacitor is empty" in errors
    log = (lab.directory / "log" / "dispatcher.log").read_text()
    assert re.search(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ERROR \(\S+/\S+\) .*flux capacitor", log, re.MULTILINE)
    assert "Traceback (most recent call last)" in log
    assert lab.refused("POST", "/trial-jobs", {"x": 1}) == "the experiment is in ERROR and starts no trial"


@pytest.mark.slow
def test_a_tuner_that_raises_over_one_result_is_noted_and_the_experiment_goes_on(faulty):
    lab = faulty("receive_trial_result", RAISES, maxTrialNumber=4)
    trials = lab.wait_for_end()
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
    _, errors = check_status(lab)
    assert "Faulty.receive_trial_result failed: RuntimeError: the flux capacitor is empty" in errors
    assert all(trial["id"] in errors for trial in trials)


@pytest.mark.slow
def test_a_tuner_that_cannot_take_a_new_search_space_keeps_the_old_one(lab):
    lab.write("trial.py", TRIAL)
    lab.write(
        "faulty.py",
        FAULTY.format(
            where="update_search_space",
            how="super().update_search_space(*args)\n        if 'y' in args[0]: " + RAISES,
        ),
    )
    lab.start(tuner={"className": "faulty.Faulty", "codeDirectory": str(lab.code)})
    lab.update("SEARCH_SPACE", searchSpace={"y": {"_type": "uniform", "_value": [0, 1]}})
    lab.wait(lambda: "update_search_space failed" in check_status(lab)[1], "the failure to be told")
    asked = len(lab.told("asked"))
    lab.wait(lambda: len(lab.told("asked")) > asked, "the experiment to go on")
    assert lab.status() == "RUNNING"


@pytest.mark.slow
def test_an_error_is_forgiven_by_resume_when_its_cause_is_gone(faulty):
    lab = faulty("generate_parameters", RAISES, maxTrialNumber=2)
    lab.wait(lambda: lab.status() == "ERROR", "ERROR")
    assert lab.stop() == 0
    lab.write("faulty.py", "from recorder import Recorder as Faulty\n")
    lab.resume()
    assert [trial["status"] for trial in lab.wait_for_end()] == ["SUCCEEDED"] * 2
    assert check_status(lab) == ("DONE", "")


@pytest.mark.slow
def test_a_tuner_that_computes_long_does_not_keep_rest_from_answering(lab):
    lab.write("trial.py", TRIAL)
    lab.write(
        "faulty.py",
        FAULTY.format(where="generate_parameters", how="import time; time.sleep(10000)"),
    )
    lab.start(tuner={"className": "faulty.Faulty", "codeDirectory": str(lab.code)})
    lab.wait(lambda: lab.told("before the fault"), "the tuner to be busy")
    assert lab.get("/summary")["waiting"] == "the tuner is computing"
    children = lab.processes()
    assert lab.stop() == 0
    assert alive(children) == []
