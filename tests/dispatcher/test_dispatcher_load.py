"""Finding and constructing the configured algorithms; every mistake is one line that says what would be right."""

import pytest

TUNER = """
from nni.tuner import Tuner
from nni.assessor import Assessor

class MyTuner(Tuner):
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        return {}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass

class Unrelated:
    pass

class MyAssessor(Assessor):
    pass
"""


def fault(peer, kind="tuner", **spec):
    """Return the line that the user reads, with the code directory written as CODE."""
    peer.start(**{"tuner": {"className": "my_tuner.MyTuner", "codeDirectory": str(peer.code)}, kind: spec})
    error = peer.expect("Error")
    assert error["command"] == "Setup"
    assert error["fatal"] is True
    assert peer.wait() == 1
    assert error["message"] in peer.text().replace("\n", " ")
    return error["message"].replace(str(peer.code), "CODE")


@pytest.fixture(autouse=True)
def _code(peer):
    peer.write("my_tuner.py", TUNER)


@pytest.mark.parametrize(
    ("class_name", "message"),
    [
        ("MyTuner", "expected 'module.Class', got 'MyTuner'"),
        ("", "expected 'module.Class', got ''"),
        ("mytuner.MyTuner", "there is no module 'mytuner' in codeDirectory 'CODE'; did you mean 'my_tuner'?"),
        ("my_tuner.MyTunr", "module 'my_tuner' (CODE/my_tuner.py) has no class 'MyTunr'; did you mean 'MyTuner'?"),
        ("my_tuner.Unrelated", "my_tuner.Unrelated must inherit from nni.tuner.Tuner"),
        ("my_tuner.MyAssessor", "my_tuner.MyAssessor is not a tuner but an assessor; configure it as 'assessor'"),
    ],
)
def test_wrong_class_name_is_answered_with_the_nearest_right_one(peer, class_name, message):
    assert fault(peer, className=class_name, codeDirectory=str(peer.code)) == f"tuner.className: {message}"


def test_tuner_as_assessor_is_refused(peer):
    message = fault(peer, "assessor", className="my_tuner.MyTuner", codeDirectory=str(peer.code))
    assert message == "assessor.className: my_tuner.MyTuner is not an assessor but a tuner; configure it as 'tuner'"


def test_missing_code_directory_is_named(peer):
    message = fault(peer, className="my_tuner.MyTuner", codeDirectory="/nowhere")
    assert message == "tuner.codeDirectory: '/nowhere' is no directory"


def test_class_without_code_directory_is_looked_for_in_the_environment(peer):
    message = fault(peer, className="my_tuner.MyTuner", codeDirectory=None)
    assert message == "tuner.className: there is no module 'my_tuner'; is codeDirectory missing?"


def test_import_that_the_module_needs_is_told_apart_from_the_module(peer):
    peer.write("needy.py", "import not_installed\n")
    message = fault(peer, className="needy.X", codeDirectory=str(peer.code))
    assert message == "tuner.className: importing 'needy' failed: No module named 'not_installed'"
    assert "Traceback" in peer.text()


def test_module_that_cannot_be_compiled_says_where(peer):
    peer.write("broken.py", "x = = 1\n")
    message = fault(peer, className="broken.X", codeDirectory=str(peer.code))
    assert message == "tuner.className: importing 'broken' failed: SyntaxError: invalid syntax (broken.py, line 1)"


def test_class_in_a_package_is_found(peer):
    (peer.code / "pack").mkdir()
    peer.write("pack/__init__.py", "")
    peer.write("pack/deep.py", TUNER)
    peer.start(tuner=peer.custom("pack.deep.MyTuner"))
    peer.initialize()
    assert peer.request()[0]["parameters"] == {}


def test_code_directory_comes_before_what_is_installed(peer):
    peer.write("colorsys.py", TUNER)  # a module of the standard library that nobody imports
    peer.start(tuner=peer.custom("colorsys.MyTuner"))
    peer.initialize()
    assert peer.request()[0]["parameters"] == {}


BATCH = {"combine_params": {"_type": "choice", "_value": [{"x": 1}, {"x": 2}]}}


def test_builtin_is_found_by_name_and_ends_when_its_list_does(peer):
    peer.start(tuner={"name": "BatchTuner"})
    peer.initialize(BATCH)
    peer.tell("RequestTrialJobs", 3)
    assert [peer.expect("NewTrialJob")["parameters"] for _ in range(2)] == [{"x": 1}, {"x": 2}]
    peer.expect("NoMoreTrialJobs")


def test_builtin_assessor_works_beside_a_custom_tuner(peer):
    peer.start(tuner=peer.custom("my_tuner.MyTuner"), assessor={"name": "Medianstop", "classArgs": {"start_step": 1}})
    peer.initialize()
    good, bad = peer.request(2)
    peer.report("A", 0, 0.9, 0)
    peer.end("A", good)
    peer.report("B", 1, 0.1, 0)
    assert peer.expect("KillTrialJob") == "B"
    assert bad["parameter_id"] == 1


def test_search_space_that_a_builtin_cannot_take_ends_the_dispatcher_with_one_line(peer):
    peer.start(tuner={"name": "BatchTuner"})
    peer.tell("Initialize", {"lr": {"_type": "uniform", "_value": [0, 1]}})
    error = peer.expect("Error")
    assert error["message"].startswith("BatchTuner.update_search_space failed: ")
    assert error["fatal"] is True
    assert peer.wait() == 1


def test_wrong_argument_of_a_builtin_is_named(peer):
    message = fault(peer, name="BatchTuner", classArgs={"optimize_mode": "max"})
    assert message == "classArgs.optimize_mode: expected 'maximize' or 'minimize', got 'max'"


def test_unknown_name_is_answered_with_the_nearest_right_one(peer):
    assert "'BatchTuner'" in fault(peer, name="BatchTunr")


@pytest.mark.parametrize(
    ("class_args", "mode"), [({}, "maximize"), ({"optimize_mode": "minimize"}, "minimize"), (None, "maximize")]
)
def test_config_without_optimize_mode_means_maximize(class_args, mode, monkeypatch):
    """The class' own default is minimize; the documented default of a config is maximize (X-01)."""
    from nni.algorithms import registry
    from nni.dispatcher._load import load
    from nni.tuner import Tuner

    class Hyperopt(Tuner):
        def __init__(self, algorithm_name, optimize_mode="minimize"):
            self.arguments = (algorithm_name, optimize_mode)

    monkeypatch.setattr(registry, "load_class", lambda name, kind: Hyperopt)
    assert load("tuner", {"name": "TPE", "classArgs": class_args}).arguments == ("tpe", mode)
