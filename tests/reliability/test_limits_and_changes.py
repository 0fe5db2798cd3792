"""Limits that end things, and what a person may change while an experiment runs (PLT-152…162, 367, 368, 392, 423)."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from reliability_lab import ENDED, Lab

# Runs until the file `go` appears, so that the test decides who ends when.
WAITS = """
import os, time, witness
parameters = witness.start()
witness.report("PERIODICAL", 1)
while not os.path.exists("go"):
    time.sleep(0.02)
witness.report("FINAL", parameters["id"])
"""
QUICK = "import witness\nparameters = witness.start()\nwitness.report('FINAL', parameters.get('id', 'mine'))\n"


def counts(lab: Lab) -> Counter:
    return Counter(lab.statuses())


def go(lab: Lab) -> None:
    lab.write("go", "")


@pytest.mark.slow
def test_the_trial_number_is_kept_and_raising_it_starts_the_experiment_again(lab):
    lab.write("trial.py", QUICK)
    lab.start(maxTrialNumber=3, trialConcurrency=2)
    assert len(lab.wait_for_end()) == 3
    assert lab.get("/version"), "the manager stays after the last trial"
    before = lab.get("/experiment")
    assert "endTime" in before
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=5)
    lab.wait(lambda: len(lab.trials()) == 5, "two more trials")
    assert [trial["value"] for trial in lab.wait_for_end()] == [0, 1, 2, 3, 4]
    assert lab.get("/experiment")["revision"] == before["revision"] + 1


@pytest.mark.slow
def test_no_more_trials_come_while_the_last_ones_run_and_the_clock_stands_still(lab):
    lab.write("trial.py", WAITS)
    lab.start(maxTrialNumber=2, trialConcurrency=2)
    lab.wait(lambda: lab.status() == "NO_MORE_TRIAL", "NO_MORE_TRIAL")
    lab.wait(lambda: counts(lab) == {"RUNNING": 2}, "both trials")
    before = lab.get("/summary")["execDuration"]
    lab.wait(lambda: len(lab.noted("reports")) == 2, "their first reports")
    assert lab.get("/summary")["execDuration"] == before
    go(lab)
    lab.wait_for_end()


@pytest.mark.slow
def test_an_endless_trial_is_stopped_after_its_time_and_the_others_are_not(lab):
    lab.write("trial.py", "import time, witness\np = witness.start()\nwitness.report('FINAL', 1)\ntime.sleep(p['s'])\n")
    lab.plan([{"s": 600}, {"s": 0}])
    lab.start(maxTrialNumber=2, trialConcurrency=2, maxTrialDuration="3s")
    endless, other = lab.wait_for_end()
    assert (endless["status"], endless["message"]) == ("EARLY_STOPPED", "stopped after maxTrialDuration (3s)")
    assert (other["status"], other["message"]) == ("SUCCEEDED", "")
    assert endless["endTime"] - endless["startTime"] >= 3000


@pytest.mark.slow
def test_a_trial_s_time_goes_on_while_no_manager_runs(lab):
    lab.write("trial.py", WAITS)
    lab.start(maxTrialNumber=1, maxTrialDuration="4s")
    lab.wait(lambda: lab.noted("starts"), "the trial")
    lab.kill()
    lab.resume()
    (trial,) = lab.wait_for_end()
    assert (trial["status"], trial["message"]) == ("EARLY_STOPPED", "stopped after maxTrialDuration (4s)")


@pytest.mark.slow
def test_the_experiment_s_duration_stops_new_trials_and_not_the_running_one(lab):
    lab.write("trial.py", WAITS)
    lab.start(trialConcurrency=1, maxExperimentDuration="2s")
    lab.wait(lambda: lab.status() == "NO_MORE_TRIAL", "NO_MORE_TRIAL")
    assert lab.statuses() == ["RUNNING"]
    assert "maxExperimentDuration (2s) is over" in lab.get("/summary")["waiting"]
    go(lab)
    (trial,) = lab.wait_for_end()
    assert trial["status"] == "SUCCEEDED"
    lab.update("MAX_EXEC_DURATION", maxExperimentDuration="1h")
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=3)
    lab.wait(lambda: counts(lab) == {"SUCCEEDED": 3}, "the experiment to begin again")


@pytest.mark.slow
def test_a_lower_concurrency_lets_trials_finish_and_a_higher_one_acts_at_once(lab):
    lab.write("trial.py", WAITS)
    lab.start(trialConcurrency=3)
    lab.wait(lambda: counts(lab) == {"RUNNING": 3}, "three trials")
    lab.update("TRIAL_CONCURRENCY", trialConcurrency=1)
    first = lab.trials()[0]
    lab.ask("DELETE", f"/trial-jobs/{first['id']}")
    lab.wait(lambda: counts(lab)["USER_CANCELED"] == 1, "one to be killed")
    assert counts(lab)["RUNNING"] == 2, "none takes its place"
    lab.update("TRIAL_CONCURRENCY", trialConcurrency=4)
    lab.wait(lambda: counts(lab)["RUNNING"] == 4, "four at a time")


@pytest.mark.slow
def test_a_new_search_space_reaches_the_tuner_while_it_runs(lab):
    lab.write("trial.py", QUICK)
    lab.start(maxTrialNumber=1)
    lab.wait_for_end()
    space = {"y": {"_type": "choice", "_value": [1, 2]}}
    lab.update("SEARCH_SPACE", searchSpace=space)
    lab.wait(lambda: lab.told("space")[-1]["space"] == space, "the tuner to hear of it")
    assert len({note["life"] for note in lab.told("space")}) == 1, "the same tuner"
    lab.kill()
    lab.resume()
    lab.wait(lambda: len(lab.told("space")) == 3, "the next tuner")
    assert lab.told("space")[-1]["space"] == space, "and it is not forgotten"


@pytest.mark.slow
def test_a_running_and_a_waiting_trial_can_be_killed_and_an_ended_one_cannot(lab):
    lab.write("trial.py", WAITS)
    lab.start(trialConcurrency=1, maxTrialNumber=3)
    lab.wait(lambda: counts(lab) == {"RUNNING": 1}, "the first trial")
    lab.ask("POST", "/trial-jobs", {"mine": 1})
    running, waiting = lab.trials()
    assert (waiting["status"], waiting["message"]) == ("WAITING", "trialConcurrency (1): as many run already")
    assert lab.get(f"/trial-jobs/{waiting['id']}")["message"] == waiting["message"]
    lab.ask("DELETE", f"/trial-jobs/{waiting['id']}")
    assert lab.get(f"/trials/{waiting['id']}")["status"] == "USER_CANCELED"
    assert not lab.trial_directory(waiting).exists(), "it never started"
    lab.ask("DELETE", f"/trial-jobs/{running['id']}")
    lab.wait(lambda: lab.statuses()[0] in ENDED, "the running one to end")
    assert lab.statuses()[0] == "USER_CANCELED"
    assert "has ended already (USER_CANCELED)" in lab.refused("DELETE", f"/trial-jobs/{running['id']}")
    assert "no trial" in lab.refused("DELETE", "/trial-jobs/nobod")
    go(lab)
    lab.wait_for_end()


@pytest.mark.slow
def test_a_trial_of_the_user_s_own_runs_with_its_parameters_and_the_tuner_is_not_confused(lab):
    lab.write("trial.py", QUICK)
    lab.start(maxTrialNumber=1)
    lab.wait_for_end()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=2)
    lab.wait(lambda: counts(lab) == {"SUCCEEDED": 2}, "the second trial")
    assert "maxTrialNumber is reached" in lab.refused("POST", "/trial-jobs", {"lr": 0.25})
    lab.stop()
    lab.resume()
    lab.plan([], once=True)
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=4)
    for _ in range(2):  # the same parameters twice: a rerun is two trials
        lab.ask("POST", "/trial-jobs", {"lr": 0.25})
    trials = lab.wait(lambda: (found := lab.trials()) and len(found) == 4 and found, "the user's trials")
    lab.wait(lambda: counts(lab) == {"SUCCEEDED": 4}, "them to end")
    for trial in trials[2:]:
        assert (trial["source"], trial["parameterId"], trial["parameters"]) == ("customized", None, {"lr": 0.25})
        given = json.loads((lab.trial_directory(trial) / "parameter.cfg").read_text())
        assert (given["parameters"], given["parameter_source"]) == ({"lr": 0.25}, "customized")
    life = lab.told("space")[-1]["life"]
    assert [note["id"] for note in lab.told("result") if note["life"] == life] == [0, 1]


@pytest.mark.slow
def test_a_tuner_that_has_no_more_ends_the_experiment(lab):
    lab.write("trial.py", QUICK)
    lab.plan([{"a": 1}, {"a": 2}, {"a": 3}], once=True)
    lab.start(trialConcurrency=2)
    trials = lab.wait_for_end()
    assert [trial["parameters"]["a"] for trial in trials] == [1, 2, 3]
    assert lab.get("/summary")["waiting"] == "the tuner has nothing more to suggest"


@pytest.mark.slow
def test_a_trial_finds_its_surroundings_as_documented(lab):
    """PLT-165 … PLT-178, PLT-412, HPO-027, HPO-028."""
    lab.write("trial.py", "import json, os\nprint(json.dumps(dict(os.environ)))\nprint(os.getcwd())\n")
    lab.start(maxTrialNumber=1, trialGpuNumber=0)
    (trial,) = lab.wait_for_end()
    directory = lab.trial_directory(trial)
    variables, working = (directory / "trial.log").read_text().splitlines()
    found = json.loads(variables)
    expected = {
        "NNI_PLATFORM": "local",
        "NNI_EXP_ID": lab.directory.name,
        "NNI_SYS_DIR": str(directory),
        "NNI_OUTPUT_DIR": str(directory),
        "NNI_TRIAL_JOB_ID": trial["id"],
        "NNI_TRIAL_SEQ_ID": "0",
        "MULTI_PHASE": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert working == str(lab.code)
    assert (directory / "run.sh").read_text().splitlines()[1].startswith("cd ")
    assert {path.name for path in directory.iterdir()} >= {"run.sh", "parameter.cfg", "trial.log", "stderr", ".nni"}
    assert re.fullmatch(r"0 \d{13}\n", (directory / ".nni" / "state").read_text())


@pytest.mark.slow
def test_without_a_gpu_number_the_gpus_stay_as_they_are(lab, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    lab.start(maxTrialNumber=1, trialCommand="env")
    (trial,) = lab.wait_for_end()
    assert "CUDA_VISIBLE_DEVICES" not in (lab.trial_directory(trial) / "trial.log").read_text()
