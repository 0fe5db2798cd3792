"""The conformance suite of advisors passes a custom one, and finds what is wrong with others."""

from __future__ import annotations

import json
import math
import random

import pytest

from nni.algorithms.hpo.hyperband_advisor import Hyperband
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, send
from nni.testing.advisor import AdvisorConformance, disconnecting
from nni.utils import MetricType, extract_scalar_reward


class ClimbingAdvisor(MsgDispatcherBase):
    """Steps away from the best point so far; written as the documentation has it, for ``uniform`` only."""

    def __init__(self, optimize_mode):
        super().__init__()
        self.sign = 1 if optimize_mode == "maximize" else -1
        self.random = random.Random(7)
        self.best = None
        self.next_id = 0
        self.ended = set()

    def handle_initialize(self, data):
        self.handle_update_search_space(data)
        send(CommandType.Initialized, "")

    def handle_update_search_space(self, data):
        self.ranges = {name: spec["_value"] for name, spec in data.items()}
        self.best = None

    def handle_request_trial_jobs(self, data):
        for _ in range(data):
            trial = {"parameter_id": self.next_id, "parameters": self.step()}
            send(CommandType.NewTrialJob, json.dumps(trial))
            self.next_id += 1

    def step(self):
        point = {}
        for name, (low, high) in self.ranges.items():
            drawn = self.random.uniform(low, high)
            point[name] = drawn if self.best is None else self.best[1][name] * 0.9 + drawn * 0.1
        return point

    def learn(self, parameters, value):
        if self.ranges.keys() == parameters.keys() and not math.isnan(value):
            score = self.sign * value
            self.best = max(self.best or (-math.inf, parameters), (score, parameters), key=lambda pair: pair[0])

    def handle_report_metric_data(self, data):
        if data["type"] not in {MetricType.FINAL, MetricType.PERIODICAL}:
            raise ValueError(f"Data type not supported: {data['type']}")
        value = extract_scalar_reward(json.loads(data["value"]))
        if data["type"] == MetricType.FINAL and data["trial_job_id"] not in self.ended:
            self.final = value

    def handle_trial_end(self, data):
        if data["event"] == "SUCCEEDED" and data["trial_job_id"] not in self.ended and hasattr(self, "final"):
            self.learn(json.loads(data["hyper_params"])["parameters"], self.final)
            del self.final
        self.ended.add(data["trial_job_id"])

    def handle_import_data(self, data):
        for sample in data:
            if "parameter" in sample:
                self.learn(sample["parameter"], extract_scalar_reward(sample["value"]))


class TestClimbingAdvisor(AdvisorConformance):
    types = ("uniform",)
    nested = False
    validates = False
    resumes = False

    def make(self, optimize_mode):
        return ClimbingAdvisor(optimize_mode)


class Suite(AdvisorConformance):
    __test__ = False
    extra_keys = ("TRIAL_BUDGET",)

    def __init__(self, advisor, **flags):
        self._advisor = advisor
        self.__dict__.update(flags)

    def make(self, optimize_mode):
        return self._advisor(3, 3, optimize_mode, "serial", seed=0)


class OneTooMany(Hyperband):
    def handle_request_trial_jobs(self, data):
        super().handle_request_trial_jobs(data + 1)


class OneTooFew(Hyperband):
    def handle_request_trial_jobs(self, data):
        super().handle_request_trial_jobs(data - 1)


class Eager(Hyperband):
    def handle_initialize(self, data):
        super().handle_initialize(data)
        self.handle_request_trial_jobs(1)


class SameIds(Hyperband):
    def _serve(self):
        self._next_number %= 5
        super()._serve()


class OutOfBounds(Hyperband):
    def suggest(self, budget, rng):
        return {**super().suggest(budget, rng), "uniform": 7}


class WaitsForFailures(Hyperband):
    def handle_trial_end(self, data):
        if data["event"] == "SUCCEEDED":
            super().handle_trial_end(data)


class OneWay(Hyperband):
    def __init__(self, R, eta, optimize_mode, exec_mode, *, seed):  # noqa: N803
        super().__init__(R, eta, "maximize", exec_mode, seed=seed)


class CountsTwice(Hyperband):
    def handle_trial_end(self, data):
        super().handle_trial_end(data)
        self.handle_request_trial_jobs(data["event"] == "FAILED")


class KeepsTheOldSpace(Hyperband):
    def handle_update_search_space(self, data):
        if not self._space:
            super().handle_update_search_space(data)


class Forgetful(Hyperband):
    def handle_replay_history(self, data):
        super().handle_replay_history({**data, "events": data["events"][:-9]})


class CountsFromZero(Hyperband):
    def handle_replay_history(self, data):
        super().handle_replay_history({**data, "next_parameter_id": 0})


class Swallows(Hyperband):
    def handle_report_metric_data(self, data):
        if data["type"] in {"FINAL", "PERIODICAL"} and data["value"][0] in "0123456789-":
            super().handle_report_metric_data(data)


@pytest.mark.parametrize(
    ("advisor", "check"),
    [
        (OneTooMany, "test_there_are_exactly_as_many_trials_as_were_asked_for"),
        (OneTooFew, "test_there_are_exactly_as_many_trials_as_were_asked_for"),
        (Eager, "test_it_says_initialized_once_and_sends_no_trial_unasked"),
        (SameIds, "test_ids_are_different_integers"),
        (OutOfBounds, "test_parameters_are_of_the_space"),
        (WaitsForFailures, "test_a_failure_among_results_holds_nothing_up"),
        (OneWay, "test_maximising_is_the_mirror_of_minimising"),
        (CountsTwice, "test_messages_that_come_twice_or_late_change_nothing"),
        (KeepsTheOldSpace, "test_the_space_may_change_while_trials_run"),
        (Forgetful, "test_a_resumed_run_goes_on_like_one_that_was_not_interrupted"),
        (CountsFromZero, "test_a_resumed_run_goes_on_and_its_ids_are_new"),
        (Swallows, "test_a_dict_with_default_is_as_good_as_its_number"),
        (Swallows, "test_an_unsupported_kind_of_metric_is_a_value_error"),
    ],
)
def test_a_faulty_advisor_fails_the_check_for_it(advisor, check):
    with disconnecting():
        getattr(Suite(Hyperband), check)()
        with pytest.raises((AssertionError, ValueError, KeyError)):
            getattr(Suite(advisor), check)()


def test_an_advisor_that_waits_for_failed_trials_is_found():
    with disconnecting(), pytest.raises(AssertionError, match="stands still"):
        Suite(WaitsForFailures).test_trials_that_all_end_without_a_result_are_survived("FAILED")
