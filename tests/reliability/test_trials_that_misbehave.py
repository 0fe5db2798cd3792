"""Trials that are killed, will not die, leave children behind, or flood their output (PLT-156, PLT-162, PLT-369)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys

import psutil
import pytest
from reliability_lab import ENDED, Lab, alive

# What each kind of trial does after it started; `ready` is written by whatever has to exist before the test goes on.
KINDS = """
import os, signal, subprocess, sys, time, witness
parameters = witness.start()
kind = parameters.get("kind", "good")

def child(code):
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=write)
    os.read(read, 1)  # it is as stubborn as it will be
    return process

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
PATIENT = "import time; print('x', flush=True); time.sleep(600)"

if kind == "good":
    witness.report("FINAL", 1)
elif kind == "waits":
    witness.report("PERIODICAL", 1)
    time.sleep(600)
elif kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    witness.note("ready", child(STUBBORN).pid)
    time.sleep(600)
elif kind == "leaves a child":
    witness.note("ready", child(PATIENT).pid)
    witness.report("FINAL", 2)
elif kind == "leaves a stubborn child":
    witness.note("ready", child(STUBBORN).pid)
    witness.report("FINAL", 3)
elif kind == "talks":
    line = "x" * 1023 + "\\n"
    for _ in range(200 * 1024):
        sys.stdout.write(line)
    witness.report("FINAL", 4)
elif kind == "crashes after its result":
    witness.report("FINAL", 5)
    os.kill(os.getpid(), signal.SIGSEGV)
elif kind == "says goodbye":
    signal.signal(signal.SIGTERM, lambda *_: (witness.report("FINAL", 6), sys.exit(0)))
    witness.note("ready")
    time.sleep(600)
"""


def begin(lab: Lab, *kinds: str, **changes):
    lab.write("trial.py", KINDS)
    lab.plan([{"kind": kind} for kind in kinds], once=True)
    lab.start(trialConcurrency=len(kinds), **changes)


def ended(lab: Lab, number: int = 0):
    """Wait for a trial's end."""

    def look():
        trials = lab.trials()
        return trials[number] if len(trials) > number and trials[number]["status"] in ENDED else None

    return lab.wait(look, f"trial {number} to end")


def group_of(lab: Lab, trial) -> list[int]:
    """Process ids in the process group of a trial, zombies left out."""
    leader = int((lab.trial_directory(trial) / ".nni" / "jobpid").read_text())
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["the shell", "the program", "the whole group"])
def test_a_killed_trial_is_failed_and_the_experiment_goes_on(lab, victim):
    begin(lab, "waits", "good")
    lab.wait(lambda: len(lab.noted("starts")) == 2, "both trials")
    trial = next(t for t in lab.trials() if t["parameters"]["kind"] == "waits")
    lab.wait(lambda: lab.spool(trial), "its report")
    leader = int((lab.trial_directory(trial) / ".nni" / "jobpid").read_text())
    program = next(pid for name, pid, *_ in lab.noted("starts") if name == trial["id"])
    if victim == "the whole group":
        os.killpg(leader, signal.SIGKILL)
    else:
        os.kill(leader if victim == "the shell" else program, signal.SIGKILL)
    lab.wait_for_end()
    after = lab.get(f"/trials/{trial['id']}")
    assert (after["status"], after["exitCode"]) == ("FAILED", 137)
    assert after["message"].startswith("ended by signal 9 (exit code 137)")
    assert after["intermediates"] == 1, "what it had reported is kept"
    assert group_of(lab, trial) == []
    assert [note["success"] for note in lab.told("end") if note["id"] == trial["parameterId"]] == [False]


@pytest.mark.slow
def test_nothing_is_left_of_a_trial_that_ignores_being_asked_to_end(lab):
    begin(lab, "stubborn")
    lab.wait(lambda: lab.noted("ready"), "the trial and its child")
    (trial,) = lab.trials()
    assert len(group_of(lab, trial)) >= 3, "shell, program and child"
    lab.ask("DELETE", f"/trial-jobs/{trial['id']}")
    after = ended(lab)
    assert after["status"] == "USER_CANCELED"
    assert after["message"] == "killed by the user"
    assert group_of(lab, trial) == [], "its end is told only when nothing is left of it"


@pytest.mark.slow
def test_stop_ends_trials_their_children_and_the_dispatcher(lab):
    begin(lab, "waits", "stubborn")
    lab.wait(lambda: lab.noted("ready") and len(lab.noted("starts")) == 2, "the trials")
    trials, children = lab.trials(), lab.processes()
    assert lab.stop() == 0
    assert [group_of(lab, trial) for trial in trials] == [[], []]
    assert alive(children) == []
    assert lab.database("SELECT DISTINCT status FROM trial") == [("SYS_CANCELED",)]
    assert lab.database("SELECT status FROM profile") == [("STOPPED",)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "value"), [("leaves a child", 2), ("leaves a stubborn child", 3)])
def test_what_a_trial_leaves_running_is_ended_with_it(lab, kind, value):
    begin(lab, kind)
    trial = ended(lab)
    assert (trial["status"], trial["value"]) == ("SUCCEEDED", value)
    assert group_of(lab, trial) == []


@pytest.mark.slow
def test_an_adopted_trial_and_its_children_can_be_killed_as_well(lab):
    begin(lab, "stubborn")
    lab.wait(lambda: lab.noted("ready"), "the trial and its child")
    lab.kill()
    lab.resume()
    (trial,) = lab.trials()
    lab.wait(lambda: lab.trials()[0]["status"] == "RUNNING", "it to be adopted")
    lab.ask("DELETE", f"/trial-jobs/{trial['id']}")
    assert ended(lab)["status"] == "USER_CANCELED"
    assert group_of(lab, trial) == []


@pytest.mark.slow
def test_a_decision_to_kill_survives_the_manager(lab):
    begin(lab, "stubborn")
    lab.wait(lambda: lab.noted("ready"), "the trial and its child")
    (trial,) = lab.trials()
    lab.ask("DELETE", f"/trial-jobs/{trial['id']}")
    lab.kill()  # long before the grace is over
    lab.resume()
    assert ended(lab)["status"] == "USER_CANCELED"
    assert group_of(lab, trial) == []


@pytest.mark.slow
def test_two_hundred_megabytes_of_output_are_kept_and_shown_from_the_end(lab):
    begin(lab, "talks")
    (trial,) = lab.wait_for_end()
    assert (trial["status"], trial["value"]) == ("SUCCEEDED", 4)
    assert (lab.trial_directory(trial) / "trial.log").stat().st_size == 200 << 20
    assert lab.get(f"/trial-log/{trial['id']}/trial.log?tail=2") == ("x" * 1023 + "\n") * 2
    assert lab.get(f"/trial-log/{trial['id']}/trial.log?head=1") == "x" * 1023 + "\n"
    assert psutil.Process(lab.manager.pid).memory_info().rss < 200 << 20, "a log is never held in memory"


@pytest.mark.slow
def test_a_result_reported_before_a_crash_is_kept_and_told(lab):
    begin(lab, "crashes after its result")
    (trial,) = lab.wait_for_end()
    assert (trial["status"], trial["value"], trial["exitCode"]) == ("FAILED", 5, 139)
    assert [note["value"] for note in lab.told("result")] == [5]
    assert [note["success"] for note in lab.told("end")] == [False]
    assert lab.get("/export-data") == [], "a failed trial is no result to export"
    assert lab.get("/summary")["best"] is None


@pytest.mark.slow
def test_a_killed_trial_may_say_goodbye_before_it_ends(lab):
    """SIGTERM comes first (PLT-162), and what the trial reports then is kept."""
    begin(lab, "says goodbye")
    lab.wait(lambda: lab.noted("ready"), "the trial")
    (trial,) = lab.trials()
    lab.ask("DELETE", f"/trial-jobs/{trial['id']}")
    after = ended(lab)
    assert (after["status"], after["value"]) == ("USER_CANCELED", 6)


COMMANDS = {
    "exit 3": 3,
    "{python} -c 'raise SystemExit(3)'": 3,
    "exec {python} -c 'raise SystemExit(3)'": 3,
    "true; exit 0": 0,
    "exec true": 0,
    "(exit 125)": 125,  # what the launcher itself uses, and docker too
    "exit 124": 124,
    "nonsuch --option": 127,
    "./not-executable": 126,
    "set -e; false; true": 1,
    "kill -TERM $$": 143,
    "kill -KILL $$": 137,
    "true; kill -TERM 0; sleep 600": 143,  # the shell's last code was 0
    "if then": 2,  # bash calls a syntax error a misuse of itself
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_code_of_any_command_is_the_trials(lab, command):
    code = COMMANDS[command]
    lab.write("not-executable", "")
    lab.start(trialCommand=command.format(python=sys.executable), maxTrialNumber=1)
    (trial,) = lab.wait_for_end()
    assert (trial["exitCode"], trial["status"]) == (code, "FAILED" if code else "SUCCEEDED")
    state = lab.trial_directory(trial) / ".nni" / "state"
    if code != 137:  # nobody is left to write it
        assert re.fullmatch(r"\d+ \d{13}\n", state.read_text())
        assert state.read_text().split()[0] == str(code)
    stderr = (lab.trial_directory(trial) / "stderr").read_text()
    if code in {126, 127, 2}:
        assert command.split()[0] in stderr or "syntax error" in stderr


@pytest.mark.slow
def test_a_code_directory_that_vanishes_fails_the_trials_that_need_it_and_says_why(lab):
    begin(lab, "waits", "good")
    lab.wait(lambda: len(lab.noted("starts")) == 2, "the trials")
    moved = lab.code.with_name("moved")
    shutil.copytree(lab.code, moved)
    lab.ask("POST", "/trial-jobs", {"kind": "good"})  # waits for a slot, or runs already: both are fine
    shutil.rmtree(lab.code)
    waiting = next(t for t in lab.trials() if t["parameters"].get("kind") == "waits")
    lab.ask("DELETE", f"/trial-jobs/{waiting['id']}")
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=10)
    lab.ask("POST", "/trial-jobs", {"kind": "good"})
    lab.wait(lambda: set(lab.statuses()) <= ENDED, "every trial to end")
    last = lab.trials()[-1]
    assert (last["status"], last["exitCode"]) == ("FAILED", 1)
    assert str(lab.code) in (lab.trial_directory(last) / "stderr").read_text()
    moved.rename(lab.code)
    lab.ask("POST", "/trial-jobs", {"kind": "good"})
    lab.wait(lambda: lab.statuses()[-1] == "SUCCEEDED", "a trial to succeed once the directory is back")


@pytest.mark.slow
def test_a_trial_directory_of_a_lost_history_is_not_mistaken_for_the_new_trial(lab):
    """After a power cut, or with a database restored from a copy, the same trial number is given again."""
    lab.write("trial.py", "import witness\nparameters = witness.start()\nwitness.report('FINAL', parameters['mark'])\n")
    lab.plan([{"mark": "old"}])
    lab.start(maxTrialNumber=2, trialConcurrency=1)
    lab.wait_for_end()
    lab.stop()
    copy = lab.directory / "db" / "copy"
    shutil.copy(lab.directory / "db" / "nni.sqlite", copy)
    lab.resume()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=4)
    old = lab.wait_for_end()
    lab.stop()
    copy.replace(lab.directory / "db" / "nni.sqlite")
    lab.plan([{"mark": "new"}])
    lab.resume()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=4)
    new = lab.wait_for_end()
    assert [trial["id"] for trial in old] == [trial["id"] for trial in new]
    assert [trial["value"] for trial in new] == ["old", "old", "new", "new"]
    for trial in new[2:]:
        kept = lab.trial_directory(trial).with_name(f"{trial['id']}.lost-1")
        assert '"mark":"old"' in (kept / "parameter.cfg").read_text().replace(" ", "")
