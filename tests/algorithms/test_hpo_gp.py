"""GPTuner: its documented arguments do what they say (HPO-270 … HPO-279)."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from scipy import integrate, stats

from nni.algorithms import registry
from nni.algorithms._class_args import ClassArgsError
from nni.algorithms.hpo._gp import Acquisition, GpSampler, GpSettings, warp
from nni.algorithms.hpo._gp._acquisition import log_improvement
from nni.algorithms.hpo._gp._sampler import fit_size, representative
from nni.algorithms.hpo._gp._warp import yeo_johnson
from nni.algorithms.hpo.gp_tuner import GPTuner
from nni.search_space import SearchSpaceError
from nni.testing.tuner import TunerConformance

UNIT = {"_type": "uniform", "_value": [0, 1]}
FAST = {"selection_num_warm_up": 500, "selection_num_starting_points": 4}


class TestGp(TunerConformance):
    types = ("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform")

    def make(self, optimize_mode):
        return GPTuner(optimize_mode, seed=3, **FAST)


def points(tuner, trials, objective, space=None):
    tuner.update_search_space(space or {"x": UNIT, "y": UNIT})
    found = []
    for number in range(trials):
        parameters = tuner.generate_parameters(number)
        found.append(list(parameters.values()))
        tuner.receive_trial_result(number, parameters, objective(parameters))
    return np.array(found)


def bowl(p):
    return (p["x"] - 0.3) ** 2 + (p["y"] - 0.7) ** 2


def test_the_signature_is_the_documented_one():
    parameters = {n: p.default for n, p in list(inspect.signature(GPTuner).parameters.items())[:-1]}
    assert parameters == {
        "optimize_mode": "maximize",
        "utility": "ei",
        "kappa": 5,
        "xi": 0,
        "nu": 2.5,
        "alpha": 1e-06,
        "cold_start_num": 10,
        "selection_num_warm_up": 100000,
        "selection_num_starting_points": 250,
    }


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("utility", "lcb"),
        ("kappa", -1),
        ("xi", "0"),
        ("nu", 0),
        ("alpha", 0),
        ("cold_start_num", 0),
        ("selection_num_warm_up", 0.5),
        ("selection_num_starting_points", -1),
        ("kapa", 1),
    ],
)
def test_wrong_arguments_are_refused(argument, value):
    with pytest.raises(ClassArgsError, match=argument):
        registry.create("GPTuner", {argument: value})


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"_type": "choice", "_value": ["a", "b"]}, "choice only among numbers"),
        ({"_type": "choice", "_value": [1, True]}, "choice only among numbers"),
        ({"_type": "normal", "_value": [0, 1]}, "normal"),
    ],
)
def test_what_is_no_number_is_refused_by_name(entry, says):
    with pytest.raises(SearchSpaceError, match=f"var.*{says}"):
        GPTuner().update_search_space({"var": entry})


def test_a_cold_start_is_spread_over_every_variable():
    found = points(GPTuner(cold_start_num=6, seed=1, **FAST), 6, bowl)
    for column in found.T:
        assert sorted(np.floor(column * 6)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("utility", ["ei", "ucb", "poi"])
def test_every_utility_finds_the_minimum_of_a_bowl(utility):
    tuner = GPTuner("minimize", utility, kappa=1, seed=1, **FAST)
    found = points(tuner, 30, bowl)
    assert min(bowl({"x": x, "y": y}) for x, y in found) < 1e-3


@pytest.mark.parametrize(("utility", "argument", "low", "high"), [("ucb", "kappa", 0.1, 20), ("ei", "xi", 0, 3)])
def test_more_of_the_parameter_explores_more(utility, argument, low, high):
    def spread(value):
        tuner = GPTuner("minimize", utility, seed=1, **{argument: value}, **FAST)
        return points(tuner, 25, bowl)[12:].std()

    assert spread(high) > 1.3 * spread(low)


def test_suggestions_do_not_depend_on_the_scale_of_the_results():
    """X-45: up to rounding."""
    near = points(GPTuner("minimize", seed=1, **FAST), 14, bowl)
    far = points(GPTuner("minimize", seed=1, **FAST), 14, lambda p: 1000 * bowl(p) - 5)
    assert far == pytest.approx(near, abs=0.02)


def test_smoothness_and_noise_reach_the_model():
    tuner = GPTuner("minimize", nu=0.5, alpha=0.01, seed=1, **FAST)
    points(tuner, 12, bowl)
    assert isinstance(tuner.sampler, GpSampler)
    process, _ = tuner.sampler.model()
    assert process.kernel.nu == 0.5
    assert process.hyperparameters.noise >= 0.01


# ---------------------------------------------------------------------------------------------- maths


@pytest.mark.parametrize("z", [-30.0, -6.0, -1.5, -0.5, 0.0, 2.0])
def test_log_improvement_is_the_logarithm_of_the_integral(z):
    value, _ = integrate.quad(
        lambda t: t * stats.norm.pdf(t - z), 0, max(z, 0) + 12, epsabs=0, epsrel=1e-10, points=[0.03]
    )
    assert log_improvement(np.array([z]))[0] == pytest.approx(math.log(value), rel=1e-5)


@pytest.mark.parametrize("utility", ["ei", "ucb", "poi"])
@pytest.mark.parametrize("mean", [-2.0, 0.4, 3.0, 40.0])
def test_slopes_of_the_acquisition_are_its_derivatives(utility, mean):
    acquisition = Acquisition(utility, best=0.5, kappa=2.0, xi=0.1)
    m, v, step = np.array([mean]), np.array([0.7]), 1e-6
    _, by_mean, by_variance = acquisition.with_slopes(m, v)
    assert by_mean == pytest.approx((acquisition(m + step, v) - acquisition(m - step, v)) / (2 * step), rel=1e-4)
    assert by_variance == pytest.approx(
        (acquisition(m, v + step) - acquisition(m, v - step)) / (2 * step), rel=1e-4, abs=1e-7
    )


def test_warping_keeps_the_order_and_normalises():
    losses = np.exp(np.random.default_rng(0).normal(size=200) * 4)
    warped = warp(losses)
    assert np.array_equal(np.argsort(warped), np.argsort(losses))
    assert (warped.mean(), warped.std()) == (pytest.approx(0), pytest.approx(1))
    assert abs(stats.skew(warped)) < 1 < stats.skew(losses)


def test_warping_is_the_likeliest_power_transform():
    x = np.random.default_rng(1).gamma(1.5, size=300)
    x = (x - np.median(x)) / (np.quantile(x, 0.75) - np.quantile(x, 0.25))
    _, power = stats.yeojohnson(x)
    assert np.corrcoef(warp(x), yeo_johnson(x, power))[0, 1] > 0.9999


@pytest.mark.parametrize("losses", [[1.0, 1.0], [math.inf, math.inf], [1.0, math.inf], [1e308, -1e308, 0], [3.0]])
def test_warping_survives_anything(losses):
    assert np.all(np.isfinite(warp(np.array(losses))))


def test_hyperparameters_are_fitted_to_nearly_all_observations():
    sizes = [fit_size(n) for n in range(1, 2000)]
    assert sizes == sorted(sizes)
    assert all(0.93 * n < size <= n for n, size in enumerate(sizes, 1))


def test_the_observations_that_are_kept_include_the_best():
    losses = np.random.default_rng(0).normal(size=900)
    kept = representative(losses, 300)
    assert len(kept) == len(set(kept)) == 300
    assert set(np.argsort(losses)[:150]) <= set(kept)


def test_an_alternative_without_a_small_margin_is_not_polished_forever():
    """While only last digits are to be had, the margin looks elsewhere."""

    def loss(p):
        return {"a": 0.5, "b": 0.0}[p["k"]] + 0.8 * (p["x"] - {"a": 0.2, "b": 0.9}[p["k"]]) ** 2

    from nni.search_space import parse

    sampler = GpSampler(parse({"x": UNIT, "k": {"_type": "choice", "_value": ["a", "b"]}}), GpSettings(margin=0.1))
    for x in np.linspace(0.1, 0.3, 12):
        sampler.observe({"x": float(x), "k": "a"}, loss({"x": x, "k": "a"}))
    tried = []
    for number in range(6):
        configuration = sampler.suggest(np.random.default_rng(number))
        sampler.start(number, configuration)
        sampler.stop(number)
        sampler.observe(configuration, loss(configuration))
        tried.append(configuration["k"])
    assert "b" in tried
