"""Annealing: from the prior to the best observations (HPO-215)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tuning_lab import MIXED, NESTED, experiment, median_best, random_best

from nni.algorithms import registry
from nni.algorithms.hpo._anneal import AnnealSampler
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.common.errors import NniError
from nni.search_space import parse
from nni.testing.tuner import TunerConformance

FINITE = {"a": {"_type": "choice", "_value": [1, 2, 3, 4]}, "b": {"_type": "randint", "_value": [0, 15]}}
UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}


class TestAnneal(TunerConformance):
    def make(self, optimize_mode):
        return HyperoptTuner("anneal", optimize_mode, seed=3)


class TestAnnealOnFiniteSpace(TunerConformance):
    space = FINITE

    def make(self, optimize_mode):
        return HyperoptTuner("anneal", optimize_mode, seed=3)


def draws(sampler, count):
    return [sampler.suggest(np.random.default_rng(seed)) for seed in range(count)]


def test_without_observations_it_draws_from_the_prior():
    xs = np.sort([p["x"] for p in draws(AnnealSampler(parse(UNIT)), 2000)])
    assert np.abs(xs - np.linspace(0, 1, len(xs))).max() < 0.04  # Kolmogorov-Smirnov, p = 0.003


@pytest.mark.parametrize("observations", [1, 10, 90])
def test_the_neighbourhood_shrinks_with_the_number_of_observations_alone(observations):
    sampler = AnnealSampler(parse(UNIT))
    for number in range(observations):
        sampler.observe({"x": 0.5}, float(number))
    share = 1 / (1 + 0.1 * observations)
    assert sampler.share() == pytest.approx([share])
    xs = [p["x"] for p in draws(sampler, 500)]
    assert max(abs(x - 0.5) for x in xs) <= share / 2
    assert np.std(xs) == pytest.approx(share / math.sqrt(12), rel=0.1)


def test_the_best_observations_are_drawn_around_most_often():
    sampler = AnnealSampler(parse(UNIT))
    for number in range(101):
        sampler.observe({"x": number / 100}, float(abs(number - 30)))
    nearest = [abs(round(p["x"] * 100) - 30) for p in draws(sampler, 400)]
    assert np.median(nearest) <= 3
    assert max(nearest) < 30


def test_failures_are_never_drawn_around_and_do_not_cool():
    sampler = AnnealSampler(parse(UNIT))
    for loss in (math.inf, math.nan):
        for _ in range(50):
            sampler.observe({"x": 0.9}, loss)
    assert sampler.share() == pytest.approx([1.0])
    sampler.observe({"x": 0.1}, 5.0)
    assert sampler.share()[0] < 1


def test_options_stay_more_often_as_it_cools():
    sampler = AnnealSampler(parse({"k": {"_type": "choice", "_value": list("abcde")}, **UNIT}))
    for _ in range(90):
        sampler.observe({"k": "c", "x": 0.5}, 0.0)
    kept = sum(p["k"] == "c" for p in draws(sampler, 2000)) / 2000
    assert kept == pytest.approx(0.9 + 0.1 / 5, abs=0.02)


def test_a_branch_that_was_not_taken_is_drawn_around_where_it_was():
    sampler = AnnealSampler(parse(NESTED))
    for number in range(60):
        sampler.observe({"model": {"_name": "linear", "slope": 1.0}}, float(number))
        sampler.observe({"model": {"_name": "round", "radius": 7.0, "centre": -2.0}}, 100.0 + number)
    radii = [p["model"]["radius"] for p in draws(sampler, 600) if p["model"]["_name"] == "round"]
    assert radii
    assert all(abs(radius - 7) <= 10 / 7 / 2 for radius in radii)


def test_a_choice_with_branches_cools_as_its_rarest_option_was_seen():
    sampler = AnnealSampler(parse(NESTED))
    for _ in range(90):
        sampler.observe({"model": {"_name": "linear", "slope": 1.0}}, 0.0)
    assert sampler.share()[:2] == pytest.approx([1.0, 0.1])
    for _ in range(2):
        sampler.observe({"model": {"_name": "round", "radius": 7.0, "centre": -2.0}}, 1.0)
        sampler.observe({"model": {"_name": "none"}}, 1.0)
    assert sampler.share() == pytest.approx([1 / 1.6, 0.1, 1 / 1.2, 1 / 1.2])


def test_a_rounded_variable_still_moves_when_its_neighbourhood_is_inside_one_bin():
    sampler = AnnealSampler(parse({"n": {"_type": "randint", "_value": [0, 4]}, **UNIT}))
    for _ in range(90):
        sampler.observe({"n": 2, "x": 0.5}, 0.0)
    assert {p["n"] for p in draws(sampler, 400)} == {0, 1, 2, 3}


def test_a_finite_space_is_gone_through_before_anything_repeats():
    tuner = HyperoptTuner("anneal", "minimize", seed=0)
    tuner.update_search_space(FINITE)
    seen = set()
    for number in range(60):
        p = tuner.generate_parameters(number)
        seen.add((p["a"], p["b"]))
        tuner.receive_trial_result(number, p, abs(p["a"] - 2) + abs(p["b"] - 7))
    assert len(seen) == 60
    assert tuner.generate_parameters(60)["a"] in {1, 2, 3, 4}


@pytest.mark.parametrize(("problem", "factor"), [("branin", 0.7), ("mixed", 0.5), ("nested", 0.5)])
def test_it_beats_random_search_clearly(problem, factor):
    annealed = median_best(lambda seed: HyperoptTuner("anneal", "minimize", seed=seed), problem, 80)
    assert annealed < factor * random_best(problem, 80)


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"optimize_mode": "max"}, "optimize_mode"),
        ({"parallel_optimize": True}, "parallel_optimize"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.validate_class_args("Anneal", args)


def test_by_its_name_in_a_config_it_maximises_by_default():
    tuner = registry.create("Anneal", {"seed": 1})
    assert isinstance(tuner, HyperoptTuner)
    assert tuner._sign == -1.0
    tuner.update_search_space(MIXED)


@pytest.mark.slow
def test_it_runs_by_its_documented_name(isolated_home, tmp_path, free_port):
    trial = "import nni\np = nni.get_next_parameter()\nnni.report_final_result((p['x'] - 0.3) ** 2)\n"
    done = experiment(tmp_path, free_port, trial, UNIT, tuner={"name": "Anneal"}, max_trial_number=5)
    results = done.export_data()
    assert len(results) == 5
    assert all(result.value == (result.parameter["x"] - 0.3) ** 2 for result in results)
