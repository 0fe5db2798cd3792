"""Intermediate results reach a tuner that has a use for them, and change nothing for any other."""

from __future__ import annotations

import json

import pytest

LISTENER = """
import json
from nni.assessor import Assessor, AssessResult
from nni.tuner import Tuner

class Plain(Tuner):
    def update_search_space(self, search_space):
        self.calls = []
    def generate_parameters(self, parameter_id, **kwargs):
        return {"calls": self.calls}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.calls.append(["result", parameter_id, value])
    def trial_end(self, parameter_id, success, **kwargs):
        self.calls.append(["end", parameter_id, success])
    def replay(self, events):
        self.calls += [[e["kind"], e.get("parameter_id"), e.get("values")] for e in events if e["kind"] != "parameters"]

class Curious(Plain):
    def receive_intermediate_results(self, parameter_id, values):
        self.calls.append(["curve", parameter_id, values])

class Judge(Assessor):
    def assess_trial(self, trial_job_id, trial_history):
        return AssessResult.Good
"""


@pytest.fixture
def started(peer):
    peer.write("listener.py", LISTENER)

    def start(class_name):
        peer.start(tuner=peer.custom(f"listener.{class_name}"), assessor=peer.custom("listener.Judge"))
        peer.initialize({})
        return peer

    return start


def live(peer):
    """Run five trials that end in all ways; return what the tuner heard."""
    jobs = peer.request(5)
    for number, value in [(0, 1), (1, 1), (0, {"default": 2}), (2, 3), (3, 4)]:
        peer.report(f"T{number}", number, value, sequence=1 if isinstance(value, dict) else 0)
    peer.report("T0", 0, 5)
    for number, status in enumerate(["SUCCEEDED", "EARLY_STOPPED", "FAILED", "USER_CANCELED", "EARLY_STOPPED"]):
        peer.end(f"T{number}", jobs[number], status)
    return peer.request()[0]["parameters"]["calls"]


def test_a_tuner_hears_them_right_before_the_result_or_the_end_of_a_stopped_trial(started):
    assert live(started("Curious")) == [
        ["curve", 0, [1, {"default": 2}]],
        ["result", 0, 5],
        ["end", 0, True],
        ["curve", 1, [1]],
        ["end", 1, False],
        ["end", 2, False],  # it failed, and its configuration is of no use whatever it showed
        ["curve", 3, [4]],
        ["end", 3, False],
        ["end", 4, False],  # it showed nothing
    ]


def test_a_tuner_without_the_method_hears_what_is_documented(started):
    expected = [["result", 0, 5], ["end", 0, True], *(["end", number, False] for number in range(1, 5))]
    assert live(started("Plain")) == expected


@pytest.mark.parametrize("peer", [{"NNI_INCLUDE_INTERMEDIATE_RESULTS": "1"}], indirect=True)
def test_the_last_one_is_the_result_where_the_config_says_so_and_then_it_is_no_curve(started):
    calls = live(started("Curious"))
    assert ["result", 1, 1] in calls
    assert ["curve", 1, [1]] not in calls


def event(kind, number, **more):
    return {"kind": kind, "trial_job_id": f"T{number}", "parameter_id": number, **more}


EVENTS = [
    *(event("parameters", number, parameters={}, parameter_source="algorithm") for number in range(4)),
    event("intermediate", 0, sequence=0, value=1),
    event("intermediate", 1, sequence=0, value=2),
    event("intermediate", 3, sequence=0, value=7),
    event("result", 0, value=5),
    event("end", 0, event="SUCCEEDED"),
    event("end", 1, event="EARLY_STOPPED"),
    event("intermediate", 2, sequence=0, value=3),
    event("end", 2, event="FAILED"),
]


@pytest.mark.parametrize("class_name", ["Curious", "Plain"])
def test_after_a_restart_it_hears_the_same_again_and_running_trials_go_on(started, class_name):
    peer = started(class_name)
    peer.tell("ReplayHistory", {"next_parameter_id": 9, "events": EVENTS})
    peer.report("T3", 3, 8, sequence=1)
    peer.end("T3", {"parameter_id": 3, "parameters": {}}, "EARLY_STOPPED")
    calls = [call for call in peer.request()[0]["parameters"]["calls"] if call[0] != "parameters"]
    curves = [call for call in calls if call[0] in {"intermediates", "curve"}]
    if class_name == "Plain":
        assert curves == []
    else:
        assert curves == [["intermediates", 0, [1]], ["intermediates", 1, [2]], ["curve", 3, [7, 8]]]
    assert json.dumps([call[0] for call in calls if call not in curves]) == '["result", "end", "end", "end", "end"]'
