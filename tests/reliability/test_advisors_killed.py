"""An advisor, or a tuner that delivers late, whose process dies goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from reliability_lab import Lab

from nni.algorithms import registry
from nni.runtime.protocol import CommandType
from nni.testing.advisor import ManagerSide, disconnecting

TRIAL = """
import time, witness
parameters = witness.start()
time.sleep(0.2)
witness.report("PERIODICAL", 0)
witness.report("FINAL", parameters["x"])
"""
TRIALS = 9


def uninterrupted(space, name, arguments):
    """Return the parameters of a run in this process, one trial at a time."""
    side = ManagerSide(registry.create(name, arguments, "advisor"))
    with disconnecting():
        side.tell(CommandType.Initialize, space)
        for _ in range(TRIALS):
            (number,) = side.request(1)
            side.finish(number, side.trials[number]["x"])
    return list(side.trials.values())


def run_with_kills(lab: Lab, name, arguments):
    lab.write("trial.py", TRIAL)
    advisor = {"name": name, "classArgs": arguments}
    lab.start(advisor=advisor, tuner=None, trialConcurrency=1, maxTrialNumber=TRIALS)
    for enough in (3, 6):
        lab.wait(lambda: lab.dispatcher() and len(lab.trials()) >= enough, f"{enough} trials")  # noqa: B023
        os.kill(lab.dispatcher(), signal.SIGKILL)
    trials = lab.wait_for_end()
    assert {trial["status"] for trial in trials} == {"SUCCEEDED"}
    return [trial["parameters"] for trial in trials]


@pytest.mark.slow
def test_hyperband_that_was_killed_goes_on_as_if_it_had_not_been(lab: Lab):
    arguments = {"R": 4, "eta": 2, "exec_mode": "serial", "seed": 3}
    given = run_with_kills(lab, "Hyperband", arguments)
    assert given == uninterrupted(lab.config()["searchSpace"], "Hyperband", arguments)


@pytest.mark.slow
def test_asha_that_was_killed_knows_its_rungs(lab: Lab):
    """After a slow start it may be asked ahead of results, so that not every choice is the same; but each is right."""
    given = run_with_kills(lab, "ASHA", {"max_budget": 4, "eta": 2, "seed": 3})
    seen = {(each["x"], each["TRIAL_BUDGET"]) for each in given}
    assert len(seen) == TRIALS
    assert {budget for _, budget in seen} >= {1, 2}
    assert all((x, budget // 2) in seen for x, budget in seen if budget > 1)


@pytest.mark.slow
def test_a_population_that_was_killed_takes_every_step_once(lab: Lab):
    """Its trials are owed and delivered late; what was owed when it died is asked for again."""
    lab.write("trial.py", TRIAL)
    checkpoints = lab.root / "checkpoints"
    arguments = {"all_checkpoint_dir": str(checkpoints), "population_size": 3, "seed": 3}
    tuner = {"name": "PBTTuner", "classArgs": arguments}
    lab.start(tuner=tuner, trialConcurrency=2, maxTrialNumber=12)
    for enough in (4, 8):
        lab.wait(lambda: lab.dispatcher() and len(lab.trials()) >= enough, f"{enough} trials")  # noqa: B023
        os.kill(lab.dispatcher(), signal.SIGKILL)
    trials = lab.wait_for_end()
    saved = [str(Path(trial["parameters"]["save_checkpoint_dir"]).relative_to(checkpoints)) for trial in trials]
    assert sorted(saved) == sorted(f"{member}/{step}" for member in range(3) for step in range(1, 5))
    for trial in trials:  # from the step before, of a member that has taken it
        load, save = (Path(trial["parameters"][f"{kind}_checkpoint_dir"]) for kind in ("load", "save"))
        assert int(load.name) == int(save.name) - 1


@pytest.mark.slow
def test_what_a_stop_took_away_runs_again_after_a_resume(lab: Lab):
    lab.write("trial.py", TRIAL.replace("0.2", "1"))
    arguments = {"R": 4, "eta": 2, "exec_mode": "serial", "seed": 3}
    advisor = {"name": "Hyperband", "classArgs": arguments}
    lab.start(advisor=advisor, tuner=None, trialConcurrency=3, maxTrialNumber=7)
    lab.wait(lambda: lab.statuses().count("RUNNING") == 3, "three trials to run")
    lab.stop()
    lab.resume()
    trials = lab.wait_for_end()
    taken = [trial["parameters"] for trial in trials if trial["status"] == "SYS_CANCELED"]
    done = [trial["parameters"] for trial in trials if trial["status"] == "SUCCEEDED"]
    assert taken
    assert all(parameters in done for parameters in taken)
    assert Counter(parameters["TRIAL_BUDGET"] for parameters in done) == {1: 4, 2: 2, 4: 1}
