"""CMA-ES: adaptation, restarts, imports, late results."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nni import NoMoreTrialError
from nni.algorithms import registry
from nni.algorithms._class_args import ClassArgsError
from nni.algorithms.hpo._cmaes import Genes
from nni.algorithms.hpo.cmaes_tuner import CMAES
from nni.search_space import Encoder, parse, to_unit
from nni.testing.tuner import TunerConformance

UNIT = {"_type": "uniform", "_value": [0, 1]}
MIXED = {
    "x": UNIT,
    "n": {"_type": "normal", "_value": [0, 1]},
    "steps": {"_type": "qloguniform", "_value": [1, 100, 1]},
    "wide": {"_type": "randint", "_value": [0, 100000]},
    "kind": {"_type": "choice", "_value": ["a", "b", "c"]},
    "only": {"_type": "choice", "_value": ["one"]},
    "net": {"_type": "choice", "_value": [{"_name": "p", "w": UNIT}, {"_name": "q"}]},
}


class TestCmaes(TunerConformance):
    def make(self, optimize_mode):
        return CMAES(optimize_mode, seed=3)


class TestSmallPopulation(TunerConformance):
    def make(self, optimize_mode):
        return CMAES(optimize_mode, population_size=4, sigma=0.1, restarts="same", seed=3)


def search(tuner, space, objective, trials):
    tuner.update_search_space(space)
    losses = []
    for number in range(trials):
        parameters = tuner.generate_parameters(number)
        losses.append(objective(parameters))
        tuner.receive_trial_result(number, parameters, losses[-1])
        tuner.trial_end(number, success=True)
    return losses


def ellipse(p):
    x = np.array(list(p.values())) - 0.37
    rotated = np.array([x[0] + x[1], x[0] - x[1], x[2]])
    return float(rotated @ (np.array([1, 1000, 10]) * rotated))


def test_adapts_to_a_long_rotated_valley():
    losses = search(CMAES("minimize", seed=1), {"a": UNIT, "b": UNIT, "c": UNIT}, ellipse, 500)
    assert min(losses) < 1e-8


def test_beats_random_search_on_a_mixed_space():
    def loss(p):
        kind = {"a": 0.5, "b": 0.0, "c": 1.0}[p["kind"]]
        return (
            kind + (p["x"] - 0.2) ** 2 + abs(math.log(p["steps"] / 20)) + abs(p["wide"] / 1e5 - 0.7) + abs(p["n"] - 1)
        )

    space = {key: value for key, value in MIXED.items() if key != "net"}
    ours = np.median([min(search(CMAES("minimize", seed=s), space, loss, 150)) for s in range(4)])
    random = registry.create("Random", {"optimize_mode": "minimize", "seed": 0})
    assert ours < 0.3 * min(search(random, space, loss, 150))


def test_rows_and_solutions_convert_into_each_other():
    encoder = Encoder(parse(MIXED))
    genes = Genes(encoder)
    mean = np.array([0.5 if d.lower < d.upper else 0.0 for d in encoder.dimensions])
    for row in to_unit(encoder, encoder.sample(40, np.random.default_rng(0))):
        assert genes.row(genes.solution(row, mean)) == pytest.approx(row, nan_ok=True, abs=1e-9)


def test_a_run_that_converged_starts_again_with_twice_the_population():
    tuner = CMAES("minimize", population_size=6, seed=1)
    search(tuner, {"a": UNIT, "b": UNIT}, lambda p: (p["a"] - 0.5) ** 2 + (p["b"] - 0.5) ** 2, 1200)
    assert tuner.sampler._restarts >= 1
    assert tuner.sampler._strategy.population == 6 * 2**tuner.sampler._restarts


def test_imported_results_set_where_the_run_starts():
    tuner = CMAES("minimize", sigma=0.01, seed=1)
    tuner.update_search_space({"a": UNIT, "b": UNIT})
    tuner.import_data(
        [{"parameter": {"a": 0.9, "b": 0.1}, "value": 0.5}, {"parameter": {"a": 0.2, "b": 0.2}, "value": 2}]
    )
    assert tuner.generate_parameters(0) == {"a": pytest.approx(0.9, abs=0.05), "b": pytest.approx(0.1, abs=0.05)}


def test_a_finite_space_is_tried_once_and_then_ends():
    tuner = CMAES("minimize", seed=1)
    tuner.update_search_space(
        {"a": {"_type": "choice", "_value": ["x", "y"]}, "b": {"_type": "randint", "_value": [0, 4]}}
    )
    seen = {tuple(tuner.generate_parameters(number).values()) for number in range(8)}
    assert len(seen) == 8
    with pytest.raises(NoMoreTrialError):
        tuner.generate_parameters(8)


@pytest.mark.parametrize(
    "args", [{"population_size": 1}, {"sigma": 0}, {"restarts": "often"}, {"seed": 0.5}, {"popsize": 3}]
)
def test_wrong_arguments_are_refused(args):
    with pytest.raises(ClassArgsError, match=next(iter(args))):
        registry.create("CMAES", args)
