"""A dispatcher that takes over after another one died (HPO-413)."""

import json

import pytest

LISTENER = """
from nni.tuner import Tuner

class Listener(Tuner):
    def update_search_space(self, search_space):
        self.calls = []
    def generate_parameters(self, parameter_id, **kwargs):
        return {"calls": self.calls}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.calls.append(["result", parameter_id, parameters, value])
    def trial_end(self, parameter_id, success, **kwargs):
        self.calls.append(["end", parameter_id, success])

class Importer(Listener):
    def import_data(self, data):
        self.calls.append(["import", data])

class Broken(Listener):
    def import_data(self, data):
        raise ValueError("cannot")
"""

ASSESSOR = """
import json
from nni.assessor import Assessor, AssessResult

class Judge(Assessor):
    def write(self, *what):
        with open("heard", "a") as file:
            file.write(json.dumps(what) + "\\n")
    def assess_trial(self, trial_job_id, trial_history):
        self.write(trial_job_id, trial_history)
        return AssessResult.Good
    def trial_end(self, trial_job_id, success):
        self.write("end", trial_job_id, success)
"""


def event(kind, trial, parameter_id, **more):
    return {"kind": kind, "trial_job_id": trial, "parameter_id": parameter_id, **more}


EVENTS = [
    event("parameters", "A", 0, parameters={"x": 0}, parameter_source="algorithm"),
    event("parameters", "B", 1, parameters={"x": 1}, parameter_source="algorithm"),
    event("parameters", "C", -1, parameters={"mine": 1}, parameter_source="customized"),
    event("intermediate", "A", 0, sequence=0, value=0.1),
    event("intermediate", "B", 1, sequence=0, value=0.2),
    event("intermediate", "A", 0, sequence=1, value=0.3),
    event("parameters", "E", -1, parameters={"mine": 2}, parameter_source="customized"),
    event("result", "C", -1, value=99),
    event("end", "C", -1, event="SUCCEEDED"),
    event("result", "E", -1, value=98),
    event("result", "A", 0, value=0.5),
    event("end", "A", 0, event="SUCCEEDED"),
    {"kind": "import", "data": [{"parameter": {"x": 7}, "value": 7}]},
    event("parameters", "D", 3, parameters={"x": 3}, parameter_source="algorithm"),
    event("intermediate", "D", 3, sequence=0, value=0.4),
    event("end", "D", 3, event="EARLY_STOPPED"),
]


@pytest.fixture
def resumed(peer):
    peer.write("listener.py", LISTENER)
    peer.write("judge.py", ASSESSOR)

    def start(class_name, *, assessor=True):
        judge = peer.custom("judge.Judge") if assessor else None
        peer.start(tuner=peer.custom(f"listener.{class_name}"), assessor=judge)
        peer.initialize({})
        peer.tell("ReplayHistory", {"next_parameter_id": 9, "events": EVENTS})
        return peer

    return start


def test_tuner_hears_what_happened_and_ids_go_on(resumed):
    peer = resumed("Listener", assessor=False)
    (job,) = peer.request()
    assert job["parameter_id"] == 9
    assert job["parameters"]["calls"] == [["result", 0, {"x": 0}, 0.5], ["end", 0, True], ["end", 3, False]]


def test_tuner_that_can_import_gets_the_finished_results_at_once(resumed):
    peer = resumed("Importer")
    samples = [{"parameter": {"x": 0}, "value": 0.5}, {"parameter": {"x": 7}, "value": 7}]
    assert peer.request()[0]["parameters"]["calls"] == [["import", samples]]


def test_trials_that_were_running_go_on_under_their_ids(resumed):
    peer = resumed("Importer")
    peer.report("B", 1, 0.7)
    peer.end("B", {"parameter_id": 1, "parameters": {"x": 1}})
    assert peer.request()[0]["parameters"]["calls"][1:] == [["result", 1, {"x": 1}, 0.7], ["end", 1, True]]


@pytest.mark.parametrize("peer", [{"NNI_INCLUDE_INTERMEDIATE_RESULTS": "1"}], indirect=True)
def test_early_stopped_trials_count_with_their_last_intermediate_result_if_wanted(resumed):
    peer = resumed("Importer")
    samples = peer.request()[0]["parameters"]["calls"][0][1]
    assert {"parameter": {"x": 3}, "value": 0.4} in samples
    peer.end("B", {"parameter_id": 1, "parameters": {}}, "EARLY_STOPPED")  # its only report was before the restart
    assert peer.request()[0]["parameters"]["calls"][1:] == [["result", 1, {"x": 1}, 0.2], ["end", 1, False]]


def test_assessor_gets_succeeded_trials_whole_and_running_histories_go_on(resumed):
    peer = resumed("Listener")
    peer.report("B", 1, 0.25, sequence=1)
    assert peer.terminate() == 0
    heard = [json.loads(line) for line in (peer.log / "heard").read_text().splitlines()]
    assert heard == [
        ["end", "C", True],
        ["A", [0.1, 0.3]],
        ["end", "A", True],
        ["end", "D", False],
        ["B", [0.2, 0.25]],
    ]


def test_tuner_that_cannot_take_its_history_is_reported_and_goes_on_without(resumed):
    peer = resumed("Broken", assessor=False)
    error = peer.expect("Error")
    assert error["message"].startswith("Broken.replay failed: ValueError: cannot")
    assert error["command"] == "ReplayHistory"
    assert error["fatal"] is False
    assert peer.request()[0]["parameter_id"] == 9


def test_history_of_100000_trials_passes(resumed, peer):
    peer.write("listener.py", LISTENER)
    peer.start(tuner=peer.custom("listener.Importer"))
    peer.initialize({})
    events = []
    for number in range(100_000):
        events.append(event("parameters", f"T{number}", number, parameters={"x": number}))
        events.append(event("result", f"T{number}", number, value=number))
        events.append(event("end", f"T{number}", number, event="SUCCEEDED"))
    peer.tell("ReplayHistory", {"next_parameter_id": 100_000, "events": events})
    (job,) = peer.request()
    assert job["parameter_id"] == 100_000
    assert len(job["parameters"]["calls"][0][1]) == 100_000
