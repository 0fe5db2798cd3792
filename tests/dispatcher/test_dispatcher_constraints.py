"""Constraints that are functions, in a real dispatcher; what the tuner suggests is in the tests of the runtime."""

from __future__ import annotations

import pytest

RULES = """
import numpy as np

def small(config):
    answer = config["x"] < 0.3 and "a" in config["m"]["_name"]
    config["m"].clear()  # a copy: what it does to it is its own affair
    return answer

def of_numpy(config):
    return np.float64(config["x"]) < 0.3

def raising(config):
    return config["y"] < 1

def undecided(config):
    return "yes"

def impossible(config):
    return False

number = 7
"""
SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1]},
    "m": {"_type": "choice", "_value": [{"_name": "a", "z": {"_type": "uniform", "_value": [0, 1]}}, {"_name": "b"}]},
}


def start(peer, *constraints):
    peer.write("rules.py", RULES)
    code = str(peer.code)
    named = [{"function": c, "codeDirectory": code} if c.startswith("rules") else c for c in constraints]
    peer.start(tuner={"name": "Random", "classArgs": {"seed": 1}}, constraints=named)


def test_functions_hold_beside_expressions(peer):
    start(peer, "rules.small", "rules.of_numpy", "m.z < 0.5")
    peer.initialize(SPACE)
    for trial in peer.request(6):
        parameters = trial["parameters"]
        assert parameters["x"] < 0.3
        assert parameters["m"]["_name"] == "a"
        assert parameters["m"]["z"] < 0.5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", "constraint rules.raising failed for {'x': "),
        ("undecided", "constraint rules.undecided returned 'yes' for {'x': "),
        ("impossible", "HyperoptTuner suggested 2000 configurations that violate a constraint; is"),
    ],
)
def test_a_function_that_gives_no_answer_is_named_with_the_configuration(peer, name, message):
    start(peer, f"rules.{name}")
    peer.initialize(SPACE)
    peer.tell("RequestTrialJobs", 1)
    error = peer.expect("Error")
    assert error["message"].startswith(message)
    assert "\n" not in error["message"]
    assert error["fatal"] is True
    if name == "raising":
        assert error["message"].endswith("KeyError: 'y'")
        assert 'rules.py", line' in error["traceback"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("rules.smal", "has no function 'smal'; did you mean 'small'?"),
        ("rules.number", "has no function 'number'"),
        ("rulez.small", "constraints[0].function: there is no module 'rulez' in codeDirectory"),
    ],
)
def test_a_function_that_is_not_there_is_named(peer, function, message):
    peer.write("rules.py", RULES)
    constraint = {"function": function, "codeDirectory": str(peer.code)}
    peer.start(tuner={"name": "Random"}, constraints=[constraint])
    error = peer.expect("Error")
    assert message in error["message"]
    assert error["fatal"] is True


def test_a_stored_function_that_is_not_there_is_named(peer):
    peer.start(tuner={"name": "Random"}, constraints=["<function lambda (a.py:1)>"])
    assert peer.expect("Error")["message"].startswith("constraints[0]: <function lambda (a.py:1)> is not in ")
