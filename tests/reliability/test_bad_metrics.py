"""What trials report though they should not, end to end with the TPE tuner and the Medianstop assessor (PLT-163)."""

from __future__ import annotations

import json

import pytest
from reliability_lab import Lab

# One trial of each kind, chosen by its number: the parameters are the tuner's.
TRIAL = """
import math, sys, witness
import nni, numpy

def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value

KINDS = {
    "number": lambda: final(0.5),
    "NaN": lambda: final(math.nan),
    "infinite": lambda: final(math.inf),
    "minus infinite": lambda: final({"default": -math.inf}),
    "text": lambda: final("good"),
    "no default": lambda: final({"accuracy": 0.5}),
    "null": lambda: final(None),
    "true": lambda: final(True),
    "beyond floats": lambda: final(10**400),
    "numpy": lambda: final({"default": numpy.float32(0.25), "all": numpy.arange(3)}),
    "half a character": lambda: final({"default": 0.5, "text": "\\ud800"}),
    "ten megabytes": lambda: final("x" * 10_000_000),
    "no JSON": lambda: final(object()),
    "too deep": lambda: final(nested(100_000)),
    "twice": lambda: (final(1), final(2)),
    "then a crash": lambda: (final(3), sys.exit(7)),
    "nothing": lambda: None,
    "bad on the way": lambda: [middle(value) for value in (math.nan, "text", {"a": 1}, None)] and final(4),
}
final, middle = nni.report_final_result, nni.report_intermediate_result
witness.start()
name = list(KINDS)[nni.get_sequence_id() % len(KINDS)]
middle(0.1)
KINDS[name]()
"""

NAMES = [line.split('"')[1] for line in TRIAL.splitlines() if ": lambda:" in line]

# Status, exit code, value as REST tells it, number it is ranked by.
OUTCOMES = {
    "number": ("SUCCEEDED", 0, 0.5, 0.5),
    "NaN": ("SUCCEEDED", 0, "NaN", None),
    "infinite": ("SUCCEEDED", 0, "Infinity", None),
    "minus infinite": ("SUCCEEDED", 0, {"default": "-Infinity"}, None),
    "text": ("SUCCEEDED", 0, "good", None),
    "no default": ("SUCCEEDED", 0, {"accuracy": 0.5}, None),
    "null": ("SUCCEEDED", 0, None, None),
    "true": ("SUCCEEDED", 0, True, None),
    "beyond floats": ("SUCCEEDED", 0, 10**400, None),
    "numpy": ("SUCCEEDED", 0, {"default": 0.25, "all": [0, 1, 2]}, 0.25),
    "half a character": ("SUCCEEDED", 0, {"default": 0.5, "text": "\ud800"}, 0.5),
    "ten megabytes": ("FAILED", 1, None, None),
    "no JSON": ("FAILED", 1, None, None),
    "too deep": ("FAILED", 1, None, None),
    "twice": ("SUCCEEDED", 0, 2, 2),
    "then a crash": ("FAILED", 7, 3, 3),
    "nothing": ("SUCCEEDED", 0, None, None),
    "bad on the way": ("SUCCEEDED", 0, 4, 4),
}
REASONS = {
    "ten megabytes": "the metric is 10,000,",
    "no JSON": "a metric must be a number, or something JSON can carry",
    "too deep": "a metric must be a number, or something JSON can carry",
}
TPE = {
    "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    "assessor": {"name": "Medianstop", "classArgs": {"optimize_mode": "maximize", "start_step": 100}},
}


@pytest.fixture
def reported(lab: Lab):
    """Run one trial of each kind; returns the trials by kind."""

    def run(**algorithms):
        lab.write("trial.py", TRIAL)
        lab.start(maxTrialNumber=len(NAMES), trialConcurrency=2, **algorithms)
        dispatcher = lab.wait(lab.dispatcher, "the dispatcher")
        trials = lab.wait_for_end()
        assert lab.dispatcher() == dispatcher, "no metric ends the tuner's process"
        return dict(zip(NAMES, trials, strict=True))

    return run


@pytest.mark.slow
def test_every_bad_metric_has_a_defined_outcome_and_none_ends_the_experiment(lab, reported):
    trials = reported(**TPE)
    assert list(OUTCOMES) == NAMES
    found = {name: (t["status"], t["exitCode"], t["value"], t["metric"]) for name, t in trials.items()}
    assert found == OUTCOMES
    for name, reason in REASONS.items():
        assert reason in (lab.trial_directory(trials[name]) / "stderr").read_text()
    errors = " | ".join(lab.get("/check-status")["errors"])
    for name in ("text", "no default", "true"):
        assert trials[name]["id"] in errors or f"parameter {trials[name]['parameterId']}" in errors, name
    assert "number" in errors
    assert trials["bad on the way"]["id"] in errors, "the assessor's complaint names the trial"
    assert trials["number"]["id"] not in errors
    best = lab.get("/summary")["best"]
    assert best["value"] == 4
    assert [item["type"] for item in lab.get(f"/trials/{trials['twice']['id']}/metrics")].count("FINAL") == 2
    exported = {item["trialJobId"]: item["value"] for item in lab.get("/export-data")}
    assert exported[trials["twice"]["id"]] == 2
    assert trials["nothing"]["id"] not in exported


@pytest.mark.slow
def test_a_tuner_gets_exactly_what_was_reported_once_and_the_last_of_several(lab, reported):
    trials = reported()
    told = {note["id"]: note["value"] for note in lab.told("result")}
    assert len(told) == len(lab.told("result"))
    for name, trial in trials.items():
        records = [record["value"] for record in lab.spool(trial) if record["type"] == "FINAL"]
        if records:
            assert json.dumps(told[trial["parameterId"]]) == json.dumps(records[-1]), name
        else:
            assert trial["parameterId"] not in told, name
    ends = {note["id"]: note["success"] for note in lab.told("end")}
    assert ends == {trial["parameterId"]: trial["status"] == "SUCCEEDED" for trial in trials.values()}


@pytest.mark.slow
def test_what_stands_in_the_metric_file_but_is_no_metric_is_skipped_and_logged(lab):
    garbage = [
        "no JSON at all",
        "[1, 2]",
        '{"type": "FINAL"}',
        '{"type": "ODD", "sequence": 0, "timestamp": 0, "value": 1}',
        '{"type": "FINAL", "sequence": Infinity, "timestamp": 0, "value": 1}',
        '{"type": "FINAL", "sequence": 1180591620717411303424, "timestamp": 0, "value": 1}',  # 2**70
        '{"type": "FINAL", "sequence": 0, "timestamp": 0, "value": ' + "[" * 5000 + "]" * 5000 + "}",
        "",
    ]
    lab.write("garbage", "\n".join(garbage) + "\n")
    lab.write(
        "trial.py",
        "import os, shutil, witness\nwitness.start()\nwitness.report('PERIODICAL', 1)\n"
        "with open(os.environ['NNI_SYS_DIR'] + '/.nni/metrics', 'ab') as file:\n"
        "    file.write(open('garbage', 'rb').read() + b'y' * 3_000_000 + b'\\n')\n"
        "witness.report('FINAL', 2)\n",
    )
    lab.start(maxTrialNumber=1)
    (trial,) = lab.wait_for_end()
    assert (trial["status"], trial["value"], trial["intermediates"]) == ("SUCCEEDED", 2, 1)
    log = (lab.directory / "log" / "nnimanager.log").read_text()
    assert log.count("which is no metric") == len(garbage)  # the empty line is none, the long one is
