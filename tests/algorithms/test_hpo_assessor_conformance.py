"""The built-in assessors go through the conformance suite that users' assessors go through, and it finds faults."""

from __future__ import annotations

import pytest

from nni.algorithms.hpo.asha_assessor import ASHAAssessor
from nni.algorithms.hpo.curvefitting_assessor import CurvefittingAssessor
from nni.algorithms.hpo.medianstop_assessor import MedianstopAssessor
from nni.assessor import Assessor, AssessResult
from nni.testing.assessor import AssessorConformance


class TestMedianstop(AssessorConformance):
    def make(self, optimize_mode):
        return MedianstopAssessor(optimize_mode)


class TestCurvefitting(AssessorConformance):
    steps = 12

    def make(self, optimize_mode):
        return CurvefittingAssessor(epoch_num=12, start_step=8, gap=4, optimize_mode=optimize_mode)


class TestAshaAssessor(AssessorConformance):
    def make(self, optimize_mode):
        return ASHAAssessor(optimize_mode=optimize_mode)


class TestUserAssessor(AssessorConformance):
    """One that says that it takes one mode and stops nothing."""

    modes = ("maximize",)
    stops = False

    def make(self, optimize_mode):
        return Lenient()


class Lenient(MedianstopAssessor):
    def assess_trial(self, trial_job_id, trial_history):
        super().assess_trial(trial_job_id, trial_history)
        return AssessResult.Good


class Suite(AssessorConformance):
    __test__ = False

    def __init__(self, assessor):
        self._assessor = assessor

    def make(self, optimize_mode):
        return self._assessor(optimize_mode)


class SaysTrue(MedianstopAssessor):
    def assess_trial(self, trial_job_id, trial_history):
        return super().assess_trial(trial_job_id, trial_history) is AssessResult.Good


class OneWay(MedianstopAssessor):
    def __init__(self, optimize_mode):
        super().__init__("maximize")


class CountsFailures(MedianstopAssessor):
    def trial_end(self, trial_job_id, success):
        super().trial_end(trial_job_id, success=True)


class LooksOnce(MedianstopAssessor):
    def assess_trial(self, trial_job_id, trial_history):
        del trial_history[10:]
        return super().assess_trial(trial_job_id, trial_history)


class Forgetful(MedianstopAssessor):
    def replay(self, events):
        pass


class OneTrial(Assessor):
    def __init__(self, optimize_mode):
        self.inner = MedianstopAssessor(optimize_mode)
        self.longest = []

    def assess_trial(self, trial_job_id, trial_history):
        self.longest = max(self.longest, trial_history, key=len)
        return self.inner.assess_trial(trial_job_id, self.longest)

    def trial_end(self, trial_job_id, success):
        self.longest = []
        self.inner.trial_end(trial_job_id, success)


@pytest.mark.parametrize(
    ("assessor", "check"),
    [
        (SaysTrue, "test_verdicts_are_assess_results"),
        (Lenient, "test_a_hopeless_trial_is_stopped"),
        (OneWay, "test_maximising_is_the_mirror_of_minimising"),
        (CountsFailures, "test_only_trials_that_succeeded_are_an_example_to_others"),
        (LooksOnce, "test_the_history_is_not_changed"),
        (Forgetful, "test_a_resumed_assessor_judges_like_one_that_was_not_interrupted"),
        (OneTrial, "test_trials_at_the_same_time_are_judged_each_on_its_own"),
    ],
)
def test_a_faulty_assessor_fails_the_check_for_it(assessor, check):
    getattr(Suite(MedianstopAssessor), check)()
    with pytest.raises(AssertionError):
        getattr(Suite(assessor), check)()
