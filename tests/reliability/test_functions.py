"""Functions as trials: managers, workers and whole machines that die; results that must find their parameters."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import random
import signal
import sys
import threading
import time
from collections import Counter

import pytest
from reliability_lab import ENDED, Lab

KILLS = 6

PLAN = [
    {"steps": 1, "pause": 0},
    {"steps": 0, "pause": 0},
    {"steps": 40, "pause": 0.02},
    {"steps": 0, "pause": 0},
    {"steps": 60, "pause": 0.1},
    {"steps": 300, "pause": 0},
]


def witnessed(parameters):
    import time

    import witness

    witness._next.update(PERIODICAL=0, FINAL=0)
    assert witness.start() == parameters
    for step in range(parameters["steps"]):
        witness.report("PERIODICAL", [parameters["id"], step])
        time.sleep(parameters["pause"])
    return {"default": parameters["id"] / 7, "steps": parameters["steps"]}


@pytest.fixture
def survivor(lab: Lab) -> Lab:
    """An experiment whose managers were killed at random instants and that then came to its end."""
    seed = int(os.environ.get("RELIABILITY_SEED", "") or random.randrange(1 << 32))
    print(f"RELIABILITY_SEED={seed}")  # noqa: T201  (shown by pytest when the test fails)
    chance = random.Random(seed)
    lab.plan(PLAN)
    lab.start(trialConcurrency=4, **lab.store_function(witnessed))
    lab.killed_at = []
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 2.5))  # also before it answers, and while it takes trials over
        lab.kill()
        lab.killed_at.append(time.time())
        os.close(lab.spawn("resume")[1])
    lab.wait(lambda: lab.status() == "RUNNING", "the last manager to run")
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=lab.get("/summary")["trials"] + 30)
    lab.wait_for_end()
    return lab


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_run_twice_when_the_manager_of_a_function_is_killed(survivor):
    lab = survivor
    trials = lab.trials()
    assert len(trials) > KILLS, "too few trials to mean anything"
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}, lab.statuses()
    assert [trial["sequence"] for trial in trials] == list(range(len(trials)))
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}
    _every_result_is_its_own(trials)
    _every_report_is_stored_once(lab, trials)
    _running_trials_were_adopted(lab)
    _the_tuner_knows_everything(lab, trials)


def _every_result_is_its_own(trials):
    for trial in trials:
        assert trial["value"] == {"default": trial["parameters"]["id"] / 7, "steps": trial["parameters"]["steps"]}
        assert trial["parameters"]["id"] == trial["parameterId"]


def _every_report_is_stored_once(lab, trials):
    made = Counter((trial, sequence, repr(value)) for trial, _, kind, sequence, value, _ in lab.noted("reports"))
    stored: Counter = Counter()
    for trial in trials:
        metrics = [item for item in lab.get(f"/trials/{trial['id']}/metrics") if item["type"] == "PERIODICAL"]
        stored.update((trial["id"], item["sequence"], repr(item["value"])) for item in metrics)
        assert trial["intermediates"] == len(metrics)
    assert stored == made
    assert max(made.values()) == 1


def _running_trials_were_adopted(lab):
    lives: dict[str, list[float]] = {}
    for trial, _, _, _, _, at in lab.noted("reports"):
        lives.setdefault(trial, []).append(at)
    survived = [trial for trial, times in lives.items() if any(times[0] < kill < times[-1] for kill in lab.killed_at)]
    assert survived, "no trial lived through a kill: the test proves nothing"
    assert "adopted" in (lab.directory / "log" / "nnimanager.log").read_text()


def _the_tuner_knows_everything(lab, trials):
    life = lab.told("space")[-1]["life"]
    results = [note for note in lab.told("result") if note["life"] == life]
    assert len({note["id"] for note in results}) == len(results), "told twice"
    expected = {trial["parameterId"]: (trial["parameters"], trial["value"]) for trial in trials}
    assert {note["id"]: (note["parameters"], note["value"]) for note in results} == expected


def instant(parameters):
    import witness

    witness.note("starts")
    return parameters["id"]


@pytest.mark.slow
def test_a_manager_that_is_killed_between_short_trials_runs_none_twice(lab):
    """Orders that are on their way when the manager dies are the danger: a new one gives the same trials again."""
    lab.start(trialConcurrency=8, **lab.store_function(instant))
    for _ in range(3):
        enough = len(lab.noted("starts")) + 20
        lab.wait(lambda enough=enough: len(lab.noted("starts")) > enough, "some trials")
        lab.kill()
        lab.resume()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=lab.get("/summary")["trials"] + 20)
    trials = lab.wait_for_end()
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
    assert all(trial["value"] == trial["parameterId"] == trial["parameters"]["id"] for trial in trials)
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}


def sometimes_killed(parameters):
    import os
    import signal

    import witness

    import nni

    witness.note("starts")
    nni.report_intermediate_result(parameters["id"])
    if parameters.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return parameters["id"]


@pytest.mark.slow
def test_two_thousand_results_belong_to_their_parameters_while_workers_die(lab):
    lab.plan([{"die": True}] + [{}] * 49)
    lab.start(trialConcurrency=4, maxTrialNumber=2000, **lab.store_function(sometimes_killed))
    trials = lab.wait_for_end()
    assert len(trials) == 2000
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}
    first = dict(lab.database("SELECT trial, value FROM metric WHERE type = 'PERIODICAL'"))
    for trial in trials:
        number = trial["parameters"]["id"]
        assert number == trial["parameterId"]
        assert first[trial["sequence"]] == str(number)
        if "die" in trial["parameters"]:
            assert (trial["status"], trial["exitCode"], trial["value"]) == ("FAILED", 137, None)
            assert "signal 9" in trial["message"]
        else:
            assert (trial["status"], trial["value"]) == ("SUCCEEDED", number)


def raise_():
    sys.stdout.write("before\n")
    raise ValueError("no good\nsecond line")


def thread():
    """Leave a thread behind, which the next trial must not hear of."""
    threading.Thread(target=time.sleep, args=(300,)).start()
    return 1


def daemon():
    """Leave one behind that reports when another trial runs."""

    def late():
        import witness

        import nni

        time.sleep(0.5)
        try:
            nni.report_final_result(-1)
        except RuntimeError as error:
            witness.note("refused", str(error))

    threading.Thread(target=late, daemon=True).start()
    return 1


def child():
    """Leave a process behind that wants to report later."""
    import nni

    if os.fork() == 0:
        time.sleep(0.5)
        nni.report_final_result(-2)
        time.sleep(300)
    time.sleep(0.1)
    return 1


WAYS = {
    "raise": raise_,
    "exit": lambda: sys.exit(3),
    "_exit": lambda: os._exit(4),
    "segfault": lambda: ctypes.string_at(0),
    "none": lambda: None,
    "text": lambda: "0.5",
    "thread": thread,
    "daemon": daemon,
    "child": child,
    "fork": lambda: -3 if os.fork() == 0 else 1,
    "slow": lambda: time.sleep(1) or 1,
    "fine": lambda: 1,
}


def misbehaving(parameters):
    import witness

    witness.note("starts")
    return WAYS[parameters["what"]]()


@pytest.mark.slow
def test_each_way_to_go_wrong_is_one_trial_s_own(lab):
    ways = [
        "raise",
        "exit",
        "_exit",
        "segfault",
        "none",
        "text",
        "thread",
        "daemon",
        "slow",
        "child",
        "slow",
        "fork",
        "fine",
    ]
    lab.plan([{"what": way} for way in ways], once=True)
    lab.start(trialConcurrency=1, maxTrialNumber=len(ways), **lab.store_function(misbehaving))
    trials = lab.wait_for_end()
    found = [(trial["parameters"]["what"], trial["status"], trial["exitCode"], trial["value"]) for trial in trials]
    assert found == [
        ("raise", "FAILED", 1, None),
        ("exit", "FAILED", 3, None),
        ("_exit", "FAILED", 4, None),
        ("segfault", "FAILED", 139, None),
        ("none", "FAILED", 1, None),
        ("text", "FAILED", 1, None),
        ("thread", "SUCCEEDED", 0, 1),
        ("daemon", "SUCCEEDED", 0, 1),
        ("slow", "SUCCEEDED", 0, 1),
        ("child", "SUCCEEDED", 0, 1),
        ("slow", "SUCCEEDED", 0, 1),
        ("fork", "SUCCEEDED", 0, 1),
        ("fine", "SUCCEEDED", 0, 1),
    ]
    assert trials[0]["message"] == "exit code 1: ValueError: no good second line"
    assert lab.get(f"/trial-log/{trials[0]['id']}/trial.log") == "before\n"
    log = lab.get(f"/trial-log/{trials[0]['id']}/stderr")
    assert log.startswith("Traceback")
    assert "function_worker" not in log
    assert "Segmentation fault" in lab.get(f"/trial-log/{trials[3]['id']}/stderr")
    assert "returned nothing" in trials[4]["message"]
    assert len(lab.noted("refused")) == 1
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}


def hanging(parameters):
    import time

    import witness

    import nni

    witness.note("starts")
    nni.report_intermediate_result(1)
    try:
        while parameters["hang"]:
            time.sleep(0.02)
    finally:
        witness.note("cleaned")
    return 2


@pytest.mark.slow
def test_a_function_that_hangs_is_ended_at_its_time_limit_and_may_clean_up(lab):
    lab.plan([{"hang": True}, {"hang": False}], once=True)
    lab.start(trialConcurrency=1, maxTrialNumber=2, maxTrialDuration="2s", **lab.store_function(hanging))
    first, second = lab.wait_for_end()
    assert (first["status"], first["message"]) == ("EARLY_STOPPED", "stopped after maxTrialDuration (2s)")
    assert (second["status"], second["value"]) == ("SUCCEEDED", 2)
    assert [trial for trial, *_ in lab.noted("cleaned")] == [first["id"], second["id"]]


@pytest.mark.slow
def test_stopping_ends_functions_and_their_workers_and_resume_goes_on(lab):
    lab.plan([{"hang": True}])
    lab.start(trialConcurrency=2, maxTrialNumber=3, **lab.store_function(hanging))
    lab.wait(lambda: len(lab.noted("starts")) == 2, "two trials")
    assert lab.stop() == 0
    assert not lab.trial_processes()
    lab.plan([{"hang": False}])
    lab.resume()
    trials = lab.wait_for_end()
    assert [trial["status"] for trial in trials] == ["SYS_CANCELED"] * 2 + ["SUCCEEDED"] * 3


@pytest.mark.slow
def test_a_worker_that_dies_while_no_manager_runs_is_not_taken_for_a_success(lab):
    lab.plan([{"hang": True}])
    lab.start(trialConcurrency=1, maxTrialNumber=1, **lab.store_function(hanging))
    (_, pid) = lab.wait(lambda: lab.noted("starts"), "the trial")[0]
    lab.kill()
    os.kill(pid, signal.SIGKILL)
    lab.resume()
    first = lab.wait(lambda: lab.trials()[0]["status"] in ENDED and lab.trials()[0], "its end")
    assert first["status"] == "SYS_CANCELED"
    assert "vanished" in first["message"]


@pytest.mark.slow
def test_an_experiment_whose_function_is_gone_says_so_on_resume(lab):
    lab.start(trialConcurrency=1, maxTrialNumber=1, **lab.store_function(instant))
    lab.wait_for_end()
    lab.stop()
    (lab.directory / "function" / "function.pkl").unlink()
    said = lab.resume()
    assert said["event"] == "error"
    assert "<function instant> is a Python function, and it is not in" in said["message"]


@pytest.mark.slow
def test_a_function_that_cannot_be_loaded_is_an_error_at_once(lab):
    command = lab.store_function(instant)
    (lab.directory / "function" / "function.pkl").write_bytes(b"no pickle")
    lab.start(trialConcurrency=2, maxTrialNumber=100, **command)
    lab.wait(lambda: lab.status() == "ERROR", "the error")
    assert "the function cannot be loaded: UnpicklingError" in lab.get("/check-status")["errors"][0]


@pytest.mark.slow
def test_a_function_that_somebody_else_could_have_written_is_not_loaded(lab):
    command = lab.store_function(instant)
    (lab.directory / "function" / "function.pkl").chmod(0o666)
    lab.start(trialConcurrency=1, maxTrialNumber=1, **command)
    lab.wait(lambda: lab.status() == "ERROR", "the error")
    assert "UnsafeFunctionError" in lab.get("/check-status")["errors"][0]


@pytest.mark.slow
def test_a_function_whose_python_is_gone_runs_with_another_of_the_same_version(lab):
    command = lab.store_function(instant)
    about = lab.directory / "function" / "function.json"
    known = json.loads(about.read_text())
    about.write_text(json.dumps({**known, "interpreter": "/gone/python", "python": platform.python_version()}))
    lab.start(trialConcurrency=1, maxTrialNumber=2, **command)
    assert [trial["value"] for trial in lab.wait_for_end()] == [0, 1]
    lab.stop()
    about.write_text(json.dumps({**known, "interpreter": "/gone/python", "python": "3.1.4"}))
    said = lab.resume()
    assert said["event"] == "error"
    assert "was stored by Python 3.1.4 (/gone/python), which is gone" in said["message"]
