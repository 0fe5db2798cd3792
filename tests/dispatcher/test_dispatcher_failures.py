"""What the user and the manager hear when an algorithm fails, and what goes on regardless (PLT-356, HPO-440 …)."""

import re
import signal

import pytest

RAISING = """
from nni.common.errors import NniError
from nni.tuner import Tuner

class Raising(Tuner):
    def __init__(self, where, error="KeyError('lr')"):
        self.where, self.error, self.calls = where, error, []
        self._step("__init__")
    def _step(self, name):
        self.calls.append(name)
        if name == self.where:
            raise eval(self.error)
    def update_search_space(self, search_space):
        self._step("update_search_space" if search_space is None else "live_update")
    def generate_parameters(self, parameter_id, **kwargs):
        self._step("generate_parameters")
        return {"calls": self.calls}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self._step("receive_trial_result")
    def trial_end(self, parameter_id, success, **kwargs):
        self._step("trial_end")
    def import_data(self, data):
        self._step("import_data")
"""

LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ERROR \(nni.main/MainThread\) "


def start(peer, where, error="KeyError('lr')"):
    peer.write("raising.py", RAISING)
    peer.start(tuner=peer.custom("raising.Raising", where=where, error=error))


@pytest.mark.parametrize(
    ("where", "command"),
    [("__init__", "Setup"), ("update_search_space", "Initialize"), ("generate_parameters", "RequestTrialJobs")],
)
def test_without_tuner_space_or_parameters_the_dispatcher_ends(peer, where, command):
    start(peer, where)
    peer.tell("Initialize", None)
    if where == "generate_parameters":
        peer.expect("Initialized")
        peer.tell("RequestTrialJobs", 1)
    error = peer.expect("Error")
    assert error["message"] == f"Raising.{where} failed: KeyError: 'lr'"
    assert error["command"] == command
    assert error["fatal"] is True
    assert 'raising.py", line' in error["traceback"]
    assert error["traceback"].endswith("KeyError: 'lr'\n")
    assert peer.hear() is None
    assert peer.wait() == 1
    assert re.search(
        rf"{LINE}Raising\.{where} failed: KeyError: 'lr'\nTraceback \(most recent call last\):\n", peer.text()
    )


@pytest.mark.parametrize("where", ["receive_trial_result", "trial_end", "import_data", "live_update"])
def test_other_failures_are_reported_and_the_experiment_goes_on(peer, where):
    start(peer, where)
    peer.tell("Initialize", None)
    peer.expect("Initialized")
    (job,) = peer.request()
    peer.report("AbC", 0, 0.5)
    peer.end("AbC", job)
    peer.tell("ImportData", [])
    peer.tell("UpdateSearchSpace", {})
    error = peer.expect("Error")
    trial = " (trial AbC, parameter 0)" if "trial" in where else ""
    method = where.replace("live_update", "update_search_space")
    assert error["message"] == f"Raising.{method} failed: KeyError: 'lr'{trial}"
    assert error["fatal"] is False
    assert peer.request()[0]["parameters"]["calls"][3:-1] == [
        "receive_trial_result",
        "trial_end",
        "import_data",
        "live_update",
    ]
    assert peer.terminate() == 0


def test_mistake_of_the_user_is_one_line_without_a_traceback_in_the_log(peer):
    start(peer, "update_search_space", "NniError('lr._type: unknown type')")
    peer.tell("Initialize", None)
    assert peer.expect("Error")["message"] == "Raising.update_search_space failed: lr._type: unknown type"
    assert peer.wait() == 1
    assert re.search(rf"{LINE}Raising.update_search_space failed: lr._type: unknown type\n", peer.text())
    assert "ERROR" not in peer.text().split("unknown type\n", 1)[1]


@pytest.mark.parametrize("peer", [{"NNI_LOG_LEVEL": "info"}], indirect=True)
def test_traceback_of_a_mistake_of_the_user_is_for_debugging(peer):
    start(peer, "update_search_space", "NniError('lr._type: unknown type')")
    peer.tell("Initialize", None)
    peer.expect("Error")
    assert peer.wait() == 1
    assert "Traceback" not in peer.text()


def test_sys_exit_in_a_tuner_is_a_failure_like_any_other(peer):
    start(peer, "receive_trial_result", "SystemExit(0)")
    peer.tell("Initialize", None)
    peer.expect("Initialized")
    peer.request()
    peer.report("A", 0, 1)
    assert peer.expect("Error")["message"] == (
        "Raising.receive_trial_result failed: SystemExit: 0 (trial A, parameter 0)"
    )
    peer.request()


def test_message_over_several_lines_becomes_one(peer):
    start(peer, "__init__", "ValueError('one\\n  two')")
    assert peer.expect("Error")["message"] == "Raising.__init__ failed: ValueError: one two"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Strict.__init__() missing required argument 'optimize_mode' (classArgs given: none)"),
        (
            {"optimise_mode": "maximize", "optimize_mode": "maximize"},
            (
                "Strict.__init__() got unexpected argument 'optimise_mode'; did you mean 'optimize_mode'? "
                "(classArgs given: optimise_mode, optimize_mode)"
            ),
        ),
    ],
)
def test_wrong_constructor_arguments_are_named(peer, arguments, message):
    peer.write("strict.py", RAISING + "\nclass Strict(Raising):\n    def __init__(self, optimize_mode, seed=0): ...\n")
    peer.start(tuner=peer.custom("strict.Strict", **arguments))
    error = peer.expect("Error")
    assert error["message"] == message
    assert "TypeError: " in error["traceback"]
    assert peer.wait() == 1
    assert "TypeError" in peer.text()


def test_type_error_inside_the_constructor_is_not_taken_for_wrong_arguments(peer):
    start(peer, "__init__", "TypeError('mine')")
    assert peer.expect("Error")["message"] == "Raising.__init__ failed: TypeError: mine"


UNSENDABLE = """
from nni.tuner import Tuner

class Thing:
    def __repr__(self):
        return "<a thing>"

class Unsendable(Tuner):
    def __init__(self, expression):
        self.expression = expression
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        return eval(self.expression)
"""


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("{'net': {'layers': [1, Thing()]}}", "parameters.net.layers[1] is a unsendable.Thing, <a thing>"),
        ("{'net': {(1, 2): 3}}", "parameters.net has the key (1, 2), a tuple, where text is needed"),
        ("(lambda d: d.update(me=d) or d)({})", "parameters.me contains itself"),
    ],
)
def test_parameters_that_json_cannot_carry_are_fatal_and_located(peer, expression, fault):
    peer.write("unsendable.py", UNSENDABLE)
    peer.start(tuner=peer.custom("unsendable.Unsendable", expression=expression))
    peer.initialize()
    peer.tell("RequestTrialJobs", 1)
    error = peer.expect("Error")
    assert error["message"] == (
        f"Unsendable returned parameters that cannot be sent to a trial as JSON: {fault} (parameter 0)"
    )
    assert error["fatal"] is True
    assert peer.wait() == 1


@pytest.mark.parametrize(("answer", "given"), [("None", "None"), ("[{}, {}, {}]", "3 items"), ("{}", "{}")])
def test_wrong_answer_of_generate_multiple_parameters_is_named(peer, answer, given):
    method = f"    def generate_multiple_parameters(self, ids, **kwargs):\n        return {answer}\n"
    peer.write("wrong.py", f"{RAISING}\nclass Wrong(Raising):\n{method}")
    peer.start(tuner=peer.custom("wrong.Wrong", where=""))
    peer.initialize()
    peer.tell("RequestTrialJobs", 2)
    error = peer.expect("Error")
    assert error["message"] == (
        f"Wrong.generate_multiple_parameters returned {given}, expected a list of at most 2 parameter sets"
    )
    assert error["fatal"] is True


def test_crash_leaves_its_stack_in_the_log(peer):
    peer.write(
        "crashing.py",
        RAISING.replace("raise eval(self.error)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
    )
    peer.start(tuner=peer.custom("crashing.Raising", where="generate_parameters"))
    peer.initialize({})
    peer.tell("RequestTrialJobs", 1)
    assert peer.hear() is None
    assert peer.wait() == -signal.SIGSEGV
    assert "Segmentation fault" in peer.text()
    assert "in generate_parameters" in peer.text()


def test_failure_while_an_early_stopped_trial_ends_does_not_keep_its_end_from_the_tuner(peer):
    peer._environment["NNI_INCLUDE_INTERMEDIATE_RESULTS"] = "true"
    peer.write(
        "judge.py", "from nni.assessor import *\nclass J(Assessor):\n    def assess_trial(self, i, h): return False"
    )
    peer.write("raising.py", RAISING)
    tuner = peer.custom("raising.Raising", where="receive_trial_result")
    peer.start(tuner=tuner, assessor=peer.custom("judge.J"))
    peer.initialize({})
    (job,) = peer.request()
    peer.report("A", 0, 0.5, sequence=0)
    assert peer.expect("KillTrialJob") == "A"
    peer.end("A", job, "EARLY_STOPPED")
    assert (
        peer.expect("Error")["message"] == "Raising.receive_trial_result failed: KeyError: 'lr' (trial A, parameter 0)"
    )
    assert peer.request()[0]["parameters"]["calls"][-3:] == ["receive_trial_result", "trial_end", "generate_parameters"]


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({}, "exactly one of 'tuner' and 'advisor' must be configured"),
        ({"tuner": {"className": "a.B"}, "advisor": {"className": "a.B"}}, "exactly one of 'tuner' and 'advisor'"),
        (
            {"advisor": {"className": "a.B"}, "assessor": {"className": "a.B"}},
            "an advisor is tuner and assessor in one",
        ),
    ],
)
def test_wrong_combination_is_refused(peer, setup, message):
    peer.start(**setup)
    error = peer.expect("Error")
    assert error["message"].startswith(message)
    assert error["fatal"] is True
    assert peer.wait() == 1
