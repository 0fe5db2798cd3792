"""Constraints are honoured by every tuner, whatever its interface."""

from __future__ import annotations

import pytest

from nni.algorithms import registry
from nni.common.errors import NniError
from nni.runtime._constrained import constrained
from nni.tuner import Tuner

SPACE = {"a": {"_type": "randint", "_value": [0, 10]}, "b": {"_type": "uniform", "_value": [0, 10]}}


def ordered(parameters):
    return parameters["a"] < parameters["b"]


class Counting(Tuner):
    """A simple tuner of a user's: no keywords, counts up."""

    def __init__(self):
        self.heard = []
        self.made = 0

    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id):
        self.made += 1
        return {"a": self.made % 3, "b": 1}

    def receive_trial_result(self, parameter_id, parameters, value):
        self.heard.append((parameter_id, value))

    def trial_end(self, parameter_id, success):
        self.heard.append((parameter_id, success))


class Batches(Counting):
    def generate_multiple_parameters(self, parameter_id_list):
        return [self.generate_parameters(number) for number in parameter_id_list]


@pytest.mark.parametrize("name", ["Auto", "TPE", "Random", "CMAES", "GPTuner"])
def test_no_built_in_tuner_suggests_what_violates(name):
    few = {"selection_num_warm_up": 500, "selection_num_starting_points": 3} if name == "GPTuner" else {}
    tuner = constrained(registry.create(name, {"seed": 0, **few}), ordered)
    tuner.update_search_space(SPACE)
    for number in range(25):
        parameters = tuner.generate_parameters(number)
        assert ordered(parameters)
        tuner.receive_trial_result(number, parameters, parameters["a"] - parameters["b"])
        tuner.trial_end(number, success=True)


def test_a_simple_tuner_of_a_user_hears_of_violations_as_failures():
    inner = Counting()
    tuner = constrained(inner, ordered)
    assert [tuner.generate_parameters(number)["a"] for number in range(3)] == [0, 0, 0]
    assert [success for _, success in inner.heard] == [False] * 6
    failed = {number for number, _ in inner.heard}
    tuner.receive_trial_result(2, {}, 5)
    (number, value) = inner.heard[-1]
    assert value == 5
    assert number not in failed


def test_batches_are_filled_up():
    inner = Batches()
    tuner = constrained(inner, ordered)
    found = tuner.generate_multiple_parameters([0, 1, 2])
    assert [one["a"] for one in found] == [0, 0, 0]


def test_late_deliveries_are_checked_too():
    class Late(Counting):
        delivers_late = True

        def generate_multiple_parameters(self, parameter_id_list, **kwargs):
            self.callback = kwargs["st_callback"]
            return []

    inner, delivered = Late(), []
    tuner = constrained(inner, ordered)
    assert tuner.delivers_late
    tuner.generate_multiple_parameters([4], st_callback=lambda *got: delivered.append(got))
    inner.callback(4, {"a": 3, "b": 1})
    assert delivered == []
    again = [number for number, _ in inner.heard][-1]
    inner.callback(again + 2**40, {"a": 0, "b": 1})
    assert delivered == [(4, {"a": 0, "b": 1})]


def test_conditions_that_nothing_satisfies_end_with_an_error():
    tuner = constrained(Counting(), lambda parameters: False)
    with pytest.raises(NniError, match="Counting suggested 2000 configurations that violate"):
        tuner.generate_parameters(0)
