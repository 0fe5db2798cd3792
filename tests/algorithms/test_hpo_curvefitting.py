"""Stopping trials by their extrapolated learning curve."""

from __future__ import annotations

import inspect
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.algorithms import ClassArgsError, registry
from nni.algorithms.hpo._curvefitting import CurveModel
from nni.algorithms.hpo._curvefitting.curvefunctions import CURVES
from nni.algorithms.hpo._curvefitting.modelfactory import f_comb, filter_curve, fit_theta, mcmc_sampling
from nni.algorithms.hpo.curvefitting_assessor import CurvefittingAssessor
from nni.assessor import AssessResult
from nni.experiment import Experiment

GOOD, BAD = AssessResult.Good, AssessResult.Bad
STEPS = np.arange(1.0, 21.0)


def saturating(asymptote, rate=0.3):
    return list(asymptote * (1 - 0.8 * np.exp(-rate * STEPS)))


def assessor(best=0.9, **kwargs):
    made = CurvefittingAssessor(**{"epoch_num": 20, **kwargs})
    made.assess_trial("done", [best])
    made.trial_end("done", success=True)
    return made


def test_signature_is_the_documented_one():
    parameters = inspect.signature(CurvefittingAssessor).parameters
    documented = {"epoch_num": 20, "start_step": 6, "threshold": 0.95, "gap": 1}
    assert [(name, p.default) for name, p in parameters.items()][:4] == list(documented.items())
    assert parameters["optimize_mode"].default == "maximize"


@pytest.mark.parametrize(
    ("args", "argument", "says"),
    [
        ({}, "epoch_num", "must be given"),
        ({"epoch_num": 0}, "epoch_num", "at least 1"),
        ({"epoch_num": 20, "gap": 0}, "gap", "at least 1"),
        ({"epoch_num": 20, "threshold": "0.9"}, "threshold", "a number"),
        ({"epoch_num": 20, "start_step": 1.5}, "start_step", "an integer"),
        ({"epoch_num": 20, "optimize_mode": "up"}, "optimize_mode", "'maximize' or 'minimize'"),
        ({"epoch_num": 20, "start_steps": 3}, "start_steps", "did you mean 'start_step'"),
    ],
)
def test_wrong_arguments_are_refused(args, argument, says):
    with pytest.raises(ClassArgsError, match=rf"classArgs\.{argument}: .*{says}"):
        registry.validate_class_args("Curvefitting", args)


# ---------------------------------------------------------------------------------------- curves and fits


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_a_curve_of_a_family_is_found_again_by_its_fit(curve):
    truth = curve.function(STEPS, np.array(curve.starts[0]) * 0.9 + 0.05)
    fit = fit_theta(curve, STEPS[:12], truth[:12], 20)
    assert fit.at_target == pytest.approx(truth[-1], abs=2e-3)


def test_there_are_twelve_families():
    assert len({curve.name for curve in CURVES}) == 12


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(CURVES), st.lists(st.floats(-100, 100), min_size=4, max_size=4))
def test_curves_are_finite_whatever_their_parameters(curve, parameters):
    assert np.isfinite(curve.function(STEPS, np.array(parameters[: curve.size]))).all()


def test_a_fit_that_could_go_through_any_points_is_none():
    pow3 = next(curve for curve in CURVES if curve.name == "pow3")
    assert fit_theta(pow3, STEPS[:3], np.array([0.1, 0.5, 0.2]), 20) is None


def test_fits_that_found_nothing_fall_or_stand_alone_are_filtered():
    y = np.array(saturating(0.9))[:10]
    fits = [fit_theta(curve, STEPS[:10], y, 20) for curve in CURVES]
    noise = np.array([0.1, 0.9] * 5)
    assert filter_curve([fit_theta(curve, STEPS[:10], noise, 20) for curve in CURVES], noise) == []
    assert filter_curve([fit_theta(curve, STEPS[:10], y[::-1], 20) for curve in CURVES], y[::-1]) == []
    stray = type(fits[0])(fits[0].curve, fits[0].theta, y, at_target=40.0)
    assert stray not in (kept := filter_curve([*fits, stray], y))
    assert len(kept) >= 6


# ---------------------------------------------------------------------------------------- weights


def test_the_sampler_finds_the_posterior_of_a_case_that_can_be_integrated():
    """Two constant curves, 0 and 1: the weight's posterior is a t-distribution cut to [0, 1]."""
    rng = np.random.default_rng(1)
    y = 0.4 + 0.2 * rng.standard_normal(12)
    chain = mcmc_sampling(np.stack([np.zeros(12), np.ones(12)]), y, np.zeros(2), rng)
    weight = chain[..., 1]
    grid = np.linspace(0, 1, 20001)
    density = np.array([np.sum((y - w) ** 2) ** (-len(y) / 2) for w in grid])
    density /= density.sum()
    mean = float(density @ grid)
    assert weight.mean() == pytest.approx(mean, abs=0.02)
    assert weight.std() == pytest.approx(math.sqrt(density @ (grid - mean) ** 2), rel=0.25)


def test_weights_are_of_the_simplex_and_favour_the_curve_that_fits():
    y = np.array(saturating(0.9))[:10]
    values = np.stack([y, y[::-1], np.full(10, y.mean())])
    chain = mcmc_sampling(values, y, np.array([0.1, 0.1, 0.1]), np.random.default_rng(0))
    assert chain.sum(axis=-1) == pytest.approx(1)
    assert (chain >= 0).all()
    assert chain[..., 0].mean() > 0.95
    assert f_comb(chain, values).shape == (*chain.shape[:2], 10)


def test_an_ensemble_that_falls_has_no_probability():
    y = np.linspace(0.2, 0.8, 10)
    values = np.stack([y, y])
    chain = mcmc_sampling(values, y, np.array([-1.0, 0.5]), np.random.default_rng(0))
    assert (f_comb(chain, np.array([-1.0, 0.5])) >= 0).all()


# ---------------------------------------------------------------------------------------- prediction


@pytest.mark.parametrize("seen", [6, 10, 15])
def test_predictions_beat_the_last_value_by_far(seen):
    rng = np.random.default_rng(7)
    ours, last = [], []
    for asymptote, rate in [(0.5, 0.1), (0.9, 0.15), (0.9, 0.3), (0.7, 0.2), (0.98, 0.12)]:
        truth = np.array(saturating(asymptote, rate))
        seen_values = truth[:seen] + 0.004 * rng.standard_normal(seen)
        ours.append(abs(CurveModel(20).predict(list(seen_values)).mean - truth[-1]))
        last.append(abs(seen_values[-1] - truth[-1]))
    assert sum(ours) < 0.6 * sum(last)


def test_scale_and_zero_of_the_metric_do_not_matter():
    history = saturating(0.9)[:10]
    plain = CurveModel(20).predict(history)
    moved = CurveModel(20).predict([1000 * value - 5000 for value in history])
    assert moved.mean == pytest.approx(1000 * plain.mean - 5000, rel=1e-4)
    assert moved.std == pytest.approx(1000 * plain.std, rel=0.05)


def test_the_same_history_gives_the_same_prediction():
    history = saturating(0.9)[:10]
    assert CurveModel(20).predict(history) == CurveModel(20).predict(history)


def test_a_curve_that_does_not_move_is_expected_to_stay():
    assert CurveModel(20).predict([0.5] * 8).mean == 0.5


@pytest.mark.parametrize(
    "history",
    [[], [0.1, 0.5, 0.6], [math.nan] * 9, [0.1, 0.9] * 5, saturating(0.9)[10::-1], [1.0, -math.inf, *[math.nan] * 5]],
    ids=["empty", "three", "nan", "noise", "falling", "infinite"],
)
def test_what_does_not_converge_is_none(history):
    assert CurveModel(20).predict(history) is None


def test_values_that_are_no_number_are_left_out():
    history = saturating(0.9)[:12]
    whole = CurveModel(20).predict(history).mean
    assert CurveModel(20).predict([*history[:4], math.nan, *history[5:]]).mean == pytest.approx(whole, abs=0.01)


def test_a_long_history_costs_no_more_evaluations_than_a_short_one():
    history = list(0.9 * (1 - np.exp(-np.arange(1, 10001) / 3000)))
    assert CurveModel(20000).predict(history).mean == pytest.approx(0.9 * (1 - math.exp(-20 / 3)), abs=0.01)


# ---------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(("asymptote", "verdict"), [(0.5, BAD), (0.95, GOOD)])
def test_a_curve_is_judged_by_where_it_goes(asymptote, verdict):
    assert assessor().assess_trial("x", saturating(asymptote)[:10]) is verdict


def test_a_slow_starter_that_will_win_is_let_live_though_it_is_worse_now():
    slow = saturating(1.3, rate=0.1)[:10]
    assert slow[-1] < 0.95 * 0.98
    assert assessor(best=0.98).assess_trial("x", slow) is GOOD


def test_the_prediction_has_to_exceed_threshold_times_the_best():
    """X-21: equality is bad. A constant curve is predicted exactly."""
    assert assessor(best=1.0, threshold=0.5).assess_trial("x", [0.5] * 6) is BAD
    assert assessor(best=1.0, threshold=0.5).assess_trial("x", [0.5000001] * 6) is GOOD


def test_below_zero_the_margin_is_below_the_best_too():
    made = assessor(best=-2.0)
    assert made.assess_trial("x", [-2.05] * 6) is GOOD
    assert made.assess_trial("y", [-2.15] * 6) is BAD


def test_nothing_is_judged_before_start_step_or_without_a_completed_trial():
    assert [assessor().assess_trial(f"x{n}", [0.1] * n) for n in (4, 5, 6)] == [GOOD, GOOD, BAD]
    assert assessor(start_step=8).assess_trial("x", [0.1] * 7) is GOOD
    assert CurvefittingAssessor().assess_trial("x", [0.1] * 6) is GOOD


def test_a_trial_that_has_all_its_results_is_not_judged():
    assert assessor().assess_trial("x", [0.1] * 20) is GOOD
    assert assessor().assess_trial("x", [0.1] * 19) is BAD


def test_a_gap_spaces_the_judgements():
    made = assessor(gap=2)
    assert [made.assess_trial("x", [0.1] * n) for n in range(5, 11)] == [GOOD, BAD, GOOD, BAD, GOOD, BAD]


def test_a_judgement_that_a_jump_went_over_is_made_up_for():
    made = assessor(gap=4)
    assert [made.assess_trial("x", [0.1] * n) for n in (9, 10, 13, 14)] == [BAD, BAD, GOOD, BAD]


def test_only_the_final_results_of_trials_that_succeeded_are_the_best():
    made = CurvefittingAssessor()
    for trial, history, success in [("a", [0.9, 0.4], True), ("b", [0.8], False), ("c", [0.9, math.nan], True)]:
        made.assess_trial(trial, history)
        made.trial_end(trial, success)
    assert made.assess_trial("x", [0.39] * 6) is GOOD
    assert made.assess_trial("y", [0.37] * 6) is BAD


def test_minimising_is_the_mirror_image():
    made = CurvefittingAssessor(optimize_mode="minimize")
    made.assess_trial("done", [2.0])
    made.trial_end("done", success=True)
    falling = [3 - value for value in saturating(1.5)[:10]]
    assert made.assess_trial("x", falling) is GOOD
    assert made.assess_trial("y", [1 + value for value in falling]) is BAD


TRIAL = """
import time
import nni
asymptote = nni.get_next_parameter()["asymptote"]
for step in range(12):
    nni.report_intermediate_result(asymptote * (1 - 0.8 * 0.7 ** step))
    if asymptote < 0.5:
        time.sleep(0.05 if step < 8 else 600)
nni.report_final_result(asymptote)
"""


@pytest.mark.slow
def test_it_stops_a_trial_of_a_real_experiment(isolated_home, tmp_path, free_port):
    (tmp_path / "trial.py").write_text(TRIAL)
    experiment = Experiment("local")
    config = experiment.config
    values = [{"asymptote": value} for value in (0.9, 0.95, 0.3)]
    config.search_space = {"combine_params": {"_type": "choice", "_value": values}}
    config.trial_command, config.trial_code_directory, config.trial_concurrency = "python3 trial.py", tmp_path, 1
    config.tuner = {"name": "BatchTuner"}
    config.assessor = {"name": "Curvefitting", "class_args": {"epoch_num": 12}}
    assert experiment.run(free_port), experiment.get_status()
    assert Counter(job.status for job in experiment.list_trial_jobs()) == {"SUCCEEDED": 2, "EARLY_STOPPED": 1}
