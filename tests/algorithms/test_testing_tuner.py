"""The conformance suite finds what is wrong with a tuner."""

from __future__ import annotations

import pytest

from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.testing.tuner import NESTED, TunerConformance


class Suite(TunerConformance):
    __test__ = False

    def __init__(self, tuner, **flags):
        self._tuner = tuner
        self.__dict__.update(flags)

    def make(self, optimize_mode):
        return self._tuner("tpe", optimize_mode, seed=0)


class OutOfBounds(HyperoptTuner):
    def generate_parameters(self, parameter_id, **kwargs):
        return {**super().generate_parameters(parameter_id), "uniform": 7}


class OneWay(HyperoptTuner):
    def __init__(self, algorithm_name, optimize_mode, **kwargs):
        super().__init__(algorithm_name, "minimize", **kwargs)


class Forgetful(HyperoptTuner):
    def replay(self, events):
        super().replay(events[:-9])


class Swallows(HyperoptTuner):
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        if isinstance(value, float):
            super().receive_trial_result(parameter_id, parameters, value)


class StopsAtFailure(HyperoptTuner):
    def trial_end(self, parameter_id, success, **kwargs):
        if not success:
            raise RuntimeError("a trial failed")


@pytest.mark.parametrize(
    ("tuner", "check"),
    [
        (OutOfBounds, "test_suggestions_are_of_the_space_and_plain_json"),
        (OneWay, "test_maximising_is_the_mirror_of_minimising"),
        (Forgetful, "test_a_resumed_run_goes_on_like_one_that_was_not_interrupted"),
        (Swallows, "test_a_dict_with_default_is_as_good_as_its_number"),
        (StopsAtFailure, "test_failed_trials_are_survived"),
    ],
)
def test_a_faulty_tuner_fails_the_check_for_it(tuner, check):
    getattr(Suite(HyperoptTuner), check)()
    with pytest.raises((AssertionError, RuntimeError)):
        getattr(Suite(tuner), check)()


def test_types_that_are_not_refused_are_found():
    suite = Suite(HyperoptTuner, types=("uniform",), nested=False)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_takes_a_type_or_says_which_variable_it_does_not_take("normal")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_takes_nested_choices_or_says_so()
    assert "layer" in NESTED


def test_metrics_that_are_swallowed_are_found():
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Suite(Swallows).test_a_metric_that_cannot_be_read_is_an_error_that_names_the_trial("good")
