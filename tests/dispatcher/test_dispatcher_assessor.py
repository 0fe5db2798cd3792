"""An assessor beside a tuner in a real dispatcher process (HPO-130 … HPO-136, HPO-154)."""

import pytest

TUNER = """
from nni.tuner import Tuner

class Log(Tuner):
    def update_search_space(self, search_space):
        self.calls = []
    def generate_parameters(self, parameter_id, **kwargs):
        return {"calls": self.calls}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.calls.append(["result", parameter_id, value])
    def trial_end(self, parameter_id, success, **kwargs):
        self.calls.append(["end", parameter_id, success])
"""

ASSESSOR = """
import json, pathlib, threading, time
from nni.assessor import Assessor, AssessResult

class Judge(Assessor):
    '''Bad as soon as a history has a value above the limit; writes down what it hears.'''
    def __init__(self, limit=10, answer=None):
        self.limit, self.answer = limit, answer
    def write(self, *what):
        with open("heard", "a") as file:
            file.write(json.dumps(what) + "\\n")
    def assess_trial(self, trial_job_id, trial_history):
        self.write(trial_job_id, trial_history)
        if self.answer:
            return eval(self.answer)
        return AssessResult.Bad if max(trial_history) > self.limit else AssessResult.Good
    def trial_end(self, trial_job_id, success):
        self.write("end", trial_job_id, success)

class Slow(Judge):
    def assess_trial(self, trial_job_id, trial_history):
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        return super().assess_trial(trial_job_id, trial_history)
"""


@pytest.fixture
def judged(peer):
    peer.write("log.py", TUNER)
    peer.write("judge.py", ASSESSOR)

    def start(class_name="Judge", **class_args):
        peer.start(tuner=peer.custom("log.Log"), assessor=peer.custom(f"judge.{class_name}", **class_args))
        peer.initialize({})
        return peer

    return start


def heard(peer):
    """Return what the assessor heard, after the dispatcher has ended."""
    import json

    assert peer.terminate() == 0
    return [json.loads(line) for line in (peer.log / "heard").read_text().splitlines()]


def drained(peer):
    """Return after the tuner has handled everything sent so far; the assessor may still be at it."""
    return peer.request()[0]["parameters"]["calls"]


def test_history_grows_by_what_the_trial_reported(judged):
    peer = judged(answer="AssessResult.Good")
    (job,) = peer.request()
    for sequence, value in enumerate([1.5, {"default": 2, "extra": "x"}]):
        peer.report("A", 0, value, sequence)
    peer.end("A", job)
    *assessed, end = heard(peer)
    assert assessed[-1] == ["A", [1.5, {"default": 2, "extra": "x"}]]
    assert end == ["end", "A", True]


def test_bad_trial_is_killed_once_whatever_it_still_reports(judged):
    peer = judged(limit=1)
    (job,) = peer.request()
    peer.report("A", 0, 2, 0)
    assert peer.expect("KillTrialJob") == "A"
    peer.report("A", 0, 3, 1)
    peer.report("A", 0, 4, 2)
    peer.end("A", job, "EARLY_STOPPED")
    assert drained(peer) == [["end", 0, False]]
    assert heard(peer)[-1] == ["end", "A", False]
    assert peer.hear() is None


@pytest.mark.parametrize("value", ["False", "AssessResult.Bad", "AssessResult(False)"])
def test_verdict_may_be_a_plain_bool(judged, value):
    peer = judged(answer=value)
    peer.report("A", 0, 2, 0)
    assert peer.expect("KillTrialJob") == "A"


def test_verdict_of_another_kind_is_reported_and_the_trial_goes_on(judged):
    peer = judged(answer="'bad'")
    peer.report("A", 0, 2, 0)
    error = peer.expect("Error")
    assert error["message"] == (
        "Judge.assess_trial returned 'bad', expected AssessResult.Good or AssessResult.Bad (trial A, parameter 0)"
    )
    assert error["fatal"] is False


def test_failing_assessor_is_reported_and_the_experiment_goes_on(judged):
    peer = judged(limit=1)
    peer.report("A", 0, "text", 0)
    error = peer.expect("Error")
    assert error["message"].startswith("Judge.assess_trial failed: TypeError: ")
    assert error["message"].endswith(" (trial A, parameter 0)")
    assert error["fatal"] is False
    peer.report("B", 1, 2, 0)
    assert peer.expect("KillTrialJob") == "B"


def test_slow_assessor_does_not_delay_the_tuner_and_catches_up_in_one_step(judged):
    peer = judged("Slow", limit=100)
    (job,) = peer.request()
    for sequence in range(50):
        peer.report("A", 0, sequence, sequence)
    peer.report("A", 0, 0.5)
    peer.end("A", job)
    assert drained(peer) == [["result", 0, 0.5], ["end", 0, True]]  # the assessor has not answered once
    (peer.log / "go").touch()
    *_, last, end = what = heard(peer)
    assert last == ["A", list(range(50))]
    assert end == ["end", "A", True]
    assert len(what) <= 3  # the call that was waiting, one for all that came meanwhile, the end


def test_slow_tuner_does_not_delay_the_assessor(peer):
    sleep = "    def receive_trial_result(self, *ignored):\n        import time; time.sleep(600)\n"
    slow = TUNER.replace("    def receive_trial_result", f"{sleep}    def unused")
    peer.write("judge.py", ASSESSOR)
    peer.write("slow_log.py", slow)
    peer.start(tuner=peer.custom("slow_log.Log"), assessor=peer.custom("judge.Judge", limit=1))
    peer.initialize({})
    peer.request()
    peer.report("A", 0, 0.5)
    peer.report("B", 1, 2, 0)
    assert peer.expect("KillTrialJob") == "B"


def test_reports_out_of_order_are_sorted_by_sequence(judged):
    peer = judged("Slow", answer="AssessResult.Good")
    for sequence in [0, 3, 1, 2]:
        peer.report("A", 0, sequence * 10, sequence)
    drained(peer)
    (peer.log / "go").touch()
    assert heard(peer)[-1] == ["A", [0, 10, 20, 30]]


def test_repeated_report_of_a_trial_run_again_is_not_assessed_until_it_has_more(judged):
    peer = judged(answer="AssessResult.Good")
    for sequence, value in [(0, 1), (1, 2), (0, 5), (1, 6), (2, 7)]:
        peer.report("A", 0, value, sequence)
    histories = [history for _, history in heard(peer)]
    assert histories[-1] == [5, 6, 7]
    assert [len(history) for history in histories] == sorted({len(history) for history in histories})


@pytest.mark.parametrize(
    ("peer", "results"),
    [({}, []), ({"NNI_INCLUDE_INTERMEDIATE_RESULTS": "true"}, [["result", 0, 2]])],
    indirect=["peer"],
)
def test_early_stopped_trial_gives_its_last_intermediate_result_only_if_wanted(judged, results):
    peer = judged(limit=1)
    (job,) = peer.request()
    peer.report("A", 0, 1, 0)
    peer.report("A", 0, 2, 1)
    assert peer.expect("KillTrialJob") == "A"
    peer.end("A", job, "EARLY_STOPPED")
    assert drained(peer) == [*results, ["end", 0, False]]


@pytest.mark.parametrize("peer", [{"NNI_INCLUDE_INTERMEDIATE_RESULTS": "true"}], indirect=True)
@pytest.mark.parametrize(("final", "event"), [(0.5, "EARLY_STOPPED"), (None, "FAILED")])
def test_final_result_wins_and_failed_trials_give_none(judged, final, event):
    peer = judged()
    (job,) = peer.request()
    peer.report("A", 0, 1, 0)
    results = []
    if final is not None:
        peer.report("A", 0, final)
        results = [["result", 0, final]]
    peer.end("A", job, event)
    assert drained(peer) == [*results, ["end", 0, False]]


def test_assessor_configured_as_a_tuner_is_refused(judged, peer):
    peer.write("judge.py", ASSESSOR)
    peer.start(tuner=peer.custom("judge.Judge"))
    assert peer.expect("Error")["message"] == (
        "tuner.className: judge.Judge is not a tuner but an assessor; configure it as 'assessor'"
    )
