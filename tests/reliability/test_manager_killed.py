"""The manager is killed at any instant, again and again (laws 1 and 2; PLT-365, PLT-417)."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest
from reliability_lab import ENDED, Lab

KILLS = 22

TRIAL = """
import time, witness
parameters = witness.start()
for step in range(parameters["steps"]):
    witness.report("PERIODICAL", [parameters["id"], step])
    time.sleep(parameters["pause"])
witness.report("FINAL", {"default": parameters["id"] / 7, "steps": parameters["steps"]})
"""

# Short ones, chatty ones, and some that live through several managers.
PLAN = [
    {"steps": 1, "pause": 0},
    {"steps": 40, "pause": 0.02},
    {"steps": 100, "pause": 0.1},
    {"steps": 3, "pause": 0.1},
    {"steps": 300, "pause": 0},
]


@pytest.fixture
def survivor(lab: Lab) -> Lab:
    """An experiment whose managers were killed at random instants and that then came to its end."""
    seed = int(os.environ.get("RELIABILITY_SEED", "") or random.randrange(1 << 32))
    print(f"RELIABILITY_SEED={seed}")  # noqa: T201  (shown by pytest when the test fails)
    chance = random.Random(seed)
    lab.write("trial.py", TRIAL)
    lab.plan(PLAN)
    lab.start(trialConcurrency=4)
    lab.killed_at = []
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 2.5))  # also before it answers, and while it takes trials over
        lab.kill()
        lab.killed_at.append(time.time())
        os.close(lab.spawn("resume")[1])
    lab.wait(lambda: lab.status() == "RUNNING", "the last manager to run")
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=len(lab.trials()) + 4)
    lab.wait_for_end()
    return lab


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_run_twice_when_the_manager_is_killed(survivor):
    lab = survivor
    trials = lab.trials()
    assert len(trials) > KILLS / 2, "too few trials to mean anything"
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}, lab.statuses()
    _numbers_are_consistent(lab, trials)
    _every_report_is_stored_once(lab, trials)
    _no_trial_ran_twice(lab, trials)
    _running_trials_were_adopted(lab)
    _the_tuner_knows_everything(lab, trials)


def _numbers_are_consistent(lab, trials):
    assert [trial["sequence"] for trial in trials] == list(range(len(trials)))
    assert len({trial["id"] for trial in trials}) == len(trials)
    assert len({trial["parameterId"] for trial in trials}) == len(trials)
    for trial in trials:
        environment = (lab.trial_directory(trial) / "run.sh").read_text()
        assert f"export NNI_TRIAL_SEQ_ID={trial['sequence']}\n" in environment


def _every_report_is_stored_once(lab, trials):
    made = Counter((trial, kind, sequence, repr(value)) for trial, _, kind, sequence, value, _ in lab.noted("reports"))
    stored: Counter = Counter()
    for trial in trials:
        metrics = lab.get(f"/trials/{trial['id']}/metrics")
        stored.update((trial["id"], item["type"], item["sequence"], repr(item["value"])) for item in metrics)
        in_file = [(item["type"], item["sequence"], item["value"]) for item in lab.spool(trial)]
        assert in_file == [(item["type"], item["sequence"], item["value"]) for item in metrics]
        assert trial["intermediates"] == sum(item["type"] == "PERIODICAL" for item in metrics)
    assert stored == made
    assert max(made.values()) == 1


def _no_trial_ran_twice(lab, trials):
    starts = Counter(trial for trial, *_ in lab.noted("starts"))
    assert starts == {trial["id"]: 1 for trial in trials}


def _running_trials_were_adopted(lab):
    """A trial that reported before and after a kill is the same process, by the count of starts above."""
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
    ends = Counter(note["id"] for note in lab.told("end") if note["life"] == life)
    assert ends == dict.fromkeys(expected, 1)


@pytest.mark.slow
def test_a_trial_that_ends_while_no_manager_runs_is_found_ended(lab):
    lab.write("trial.py", "import time, witness\nwitness.start()\ntime.sleep(1)\nwitness.report('FINAL', 3)\n")
    lab.start(trialConcurrency=3, maxTrialNumber=3)
    lab.wait(lambda: len(lab.noted("starts")) == 3, "three trials")
    lab.kill()
    lab.wait(lambda: not lab.trial_processes(), "the trials to end by themselves")
    lab.resume()
    trials = lab.wait_for_end()
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 3
    assert [trial["value"] for trial in trials] == [3, 3, 3]
    assert [trial["exitCode"] for trial in trials] == [0, 0, 0]
    for trial in trials:  # the time of its end is the trial's own, not that of the manager's return
        state = (lab.trial_directory(trial) / ".nni" / "state").read_text()
        assert state == f"0 {trial['endTime']}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["exec {python} trial.py", ". ./environment.sh"])
def test_a_trial_that_replaced_its_shell_is_adopted_too(lab, command):
    import sys

    lab.write("trial.py", "import time, witness\nwitness.start()\ntime.sleep(3)\nwitness.report('FINAL', 3)\n")
    lab.write("environment.sh", f"exec {sys.executable} trial.py\n")
    lab.start(trialConcurrency=1, maxTrialNumber=1, trialCommand=command.format(python=sys.executable))
    lab.wait(lambda: lab.noted("starts"), "the trial to start")
    lab.kill()
    lab.resume()
    (trial,) = lab.wait_for_end()
    assert (trial["status"], trial["value"]) == ("SUCCEEDED", 3)
    assert len(lab.noted("starts")) == 1


@pytest.mark.slow
def test_a_trial_killed_by_hand_while_no_manager_ran_is_not_taken_for_a_success(lab):
    lab.write("trial.py", "import time, witness\nwitness.start()\nwitness.report('FINAL', 1)\ntime.sleep(300)\n")
    lab.start(trialConcurrency=1, maxTrialNumber=1)
    lab.wait(lambda: lab.noted("reports"), "the report")
    lab.kill()
    for pid in lab.trial_processes():
        os.kill(pid, 15)
    lab.wait(lambda: not lab.trial_processes(), "the trial to be gone")
    lab.resume()
    first = lab.wait(lambda: lab.trials()[0]["status"] in ENDED and lab.trials()[0], "its end")
    assert first["status"] == "FAILED"
    assert first["exitCode"] == 143


@pytest.mark.slow
def test_a_stopped_experiment_goes_on_where_it_stopped(lab):
    lab.write("trial.py", "import witness\nparameters = witness.start()\nwitness.report('FINAL', parameters['id'])\n")
    lab.start(maxTrialNumber=3)
    before = lab.wait_for_end()
    assert lab.stop() == 0
    lab.resume()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=5)
    after = lab.wait(lambda: (found := lab.trials()) and len(found) == 5 and found, "two more")
    assert after[:3] == before
    lab.wait_for_end()
    assert sorted(trial["value"] for trial in lab.trials()) == [0, 1, 2, 3, 4]
