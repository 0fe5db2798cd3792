"""The median stopping rule."""

from __future__ import annotations

import inspect
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.algorithms.hpo.medianstop_assessor import MedianstopAssessor
from nni.assessor import AssessResult
from nni.common.errors import NniError

CURVES = ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.9, 0.9, 0.9])


def assessor(*, curves=CURVES, mode="maximize", **kwargs):
    made = MedianstopAssessor(mode, **kwargs)
    for number, curve in enumerate(curves):
        for step in range(len(curve)):
            made.assess_trial(f"done{number}", curve[: step + 1])
        made.trial_end(f"done{number}", success=True)
    return made


def test_signature_is_the_documented_one():
    parameters = inspect.signature(MedianstopAssessor).parameters
    assert {name: p.default for name, p in parameters.items()} == {"optimize_mode": "maximize", "start_step": 0}


def test_worse_than_the_median_of_running_averages_is_bad():
    assert assessor().assess_trial("x", [0.5, 0.54]) is AssessResult.Bad


def test_the_best_result_so_far_counts_and_equality_is_not_worse():
    assert assessor().assess_trial("x", [0.55, 0.1]) is AssessResult.Good


def test_minimising_is_the_mirror():
    mirrored = assessor(curves=[[-y for y in curve] for curve in CURVES], mode="minimize")
    assert mirrored.assess_trial("x", [-0.5, -0.54]) is AssessResult.Bad
    assert mirrored.assess_trial("x", [-0.55, -0.1]) is AssessResult.Good


def test_nothing_is_judged_before_start_step():
    late = assessor(curves=[[1.0] * 6], start_step=5)
    verdicts = [late.assess_trial("x", [0.0] * steps) for steps in (1, 4, 5, 6)]
    assert verdicts == [AssessResult.Good, AssessResult.Good, AssessResult.Bad, AssessResult.Bad]


def test_without_completed_trials_all_is_good():
    assert MedianstopAssessor().assess_trial("x", [-1e9]) is AssessResult.Good


def test_trials_that_failed_do_not_count():
    made = MedianstopAssessor()
    made.assess_trial("failed", [100.0])
    made.trial_end("failed", success=False)
    assert made.assess_trial("x", [0.0]) is AssessResult.Good


def test_a_trial_that_ended_early_counts_with_the_average_it_has():
    made = assessor(curves=[[1.0], [0.2, 0.4, 0.6, 0.8]])
    assert made.assess_trial("x", [0.1, 0.1, 0.1, 0.7]) is AssessResult.Bad  # median of 1.0 and 0.5
    assert made.assess_trial("y", [0.1, 0.1, 0.1, 0.75]) is AssessResult.Good


def test_beyond_the_longest_trial_whole_averages_count():
    assert assessor().assess_trial("x", [0.5] * 10) is AssessResult.Bad
    assert assessor().assess_trial("y", [0.6] * 10) is AssessResult.Good


def test_histories_may_grow_by_jumps_and_change():
    made = assessor()
    assert made.assess_trial("x", [0.9]) is AssessResult.Good
    assert made.assess_trial("x", [0.1, 0.1, 0.1]) is AssessResult.Bad


def test_results_may_be_dicts_with_default():
    assert assessor().assess_trial("x", [{"default": 0.5, "loss": 3}, {"default": 0.54}]) is AssessResult.Bad


def test_nan_is_left_out_and_nothing_but_nan_is_bad():
    assert assessor().assess_trial("x", [math.nan, 0.9]) is AssessResult.Good
    assert assessor().assess_trial("y", [math.nan, math.nan]) is AssessResult.Bad
    assert assessor(curves=[[math.nan, 0.4]]).assess_trial("z", [0.5, 0.5]) is AssessResult.Good


def test_a_trial_whose_average_is_no_number_is_the_worst():
    curves = [[1.0, 1.0], [2.0, 2.0], [math.inf, -math.inf]]
    assert assessor(curves=curves).assess_trial("x", [1.5, 1.5]) is AssessResult.Good
    assert assessor(curves=curves).assess_trial("y", [0.5, 0.5]) is AssessResult.Bad


def test_a_metric_that_cannot_be_read_names_the_trial():
    with pytest.raises(NniError, match=r"trial MoXrp: .*'default'"):
        MedianstopAssessor().assess_trial("MoXrp", [{"acc": 1}])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=6), min_size=1, max_size=8),
    st.lists(st.floats(-10, 10), min_size=1, max_size=8),
)
def test_the_rule_is_the_published_formula(curves, history):
    step = len(history)
    median = statistics.median(statistics.fmean(curve[:step]) for curve in curves)
    best = max(history)
    if not math.isclose(best, median, abs_tol=1e-9):
        expected = AssessResult.Bad if best < median else AssessResult.Good
        assert assessor(curves=curves).assess_trial("x", history) is expected
