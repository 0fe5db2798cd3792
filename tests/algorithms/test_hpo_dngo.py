"""DNGO: the network and its training, the Bayesian regression, and what is suggested."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nni.algorithms.hpo._dngo import _sampler
from nni.algorithms.hpo._dngo._network import Network, train
from nni.algorithms.hpo._dngo._regression import BayesianRegression
from nni.algorithms.hpo.dngo_tuner import DNGOTuner
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.common.errors import NniError
from nni.experiment import Experiment
from nni.search_space import contains, json_key, parse
from nni.testing.tuner import TunerConformance

BRANIN = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}


def branin(c):
    wave = c["y"] - 5.1 / (4 * math.pi**2) * c["x"] ** 2 + 5 / math.pi * c["x"] - 6
    return wave**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(c["x"]) + 10


def dngo(space=None, seed=0, **kwargs):
    tuner = DNGOTuner("minimize", seed=seed, **kwargs)
    tuner.update_search_space(BRANIN if space is None else space)
    return tuner


def run(tuner, function, trials):
    values = []
    for number in range(trials):
        configuration = tuner.generate_parameters(number)
        values.append(function(configuration))
        tuner.receive_trial_result(number, configuration, values[-1])
        tuner.trial_end(number, success=True)
    return values


class TestConformance(TunerConformance):
    types = ("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform")
    nested = False

    def make(self, optimize_mode):
        return DNGOTuner(optimize_mode, 100, 8, 40, seed=3)


# ------------------------------------------------------------------------------------------------ interface


def test_arguments_are_the_documented_ones_and_a_seed():
    assert [(name, p.default) for name, p in inspect.signature(DNGOTuner).parameters.items()] == [
        ("optimize_mode", "maximize"),
        ("sample_size", 1000),
        ("trials_per_update", 20),
        ("num_epochs_per_training", 500),
        ("seed", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"optimize_mode": "best"}, r"optimize_mode: expected 'maximize' or 'minimize', got 'best'"),
        ({"sample_size": 0}, r"sample_size: expected an integer of at least 1, got 0"),
        ({"trials_per_update": -3}, r"trials_per_update: expected an integer of at least 1"),
        ({"num_epochs_per_training": 1.5}, r"num_epochs_per_training: expected an integer"),
    ],
)
def test_wrong_arguments_are_named(arguments, problem):
    with pytest.raises(NniError, match=problem):
        DNGOTuner(**arguments)


def test_options_that_are_no_numbers_are_refused():
    with pytest.raises(NniError, match=r"searchSpace\.k: DNGOTuner supports choice only among numbers"):
        dngo({"k": {"_type": "choice", "_value": ["a", "b"]}})


# ------------------------------------------------------------------------------------------------ quality


def test_dngo_beats_random():
    """Z-17."""
    smart = [min(run(dngo(seed=seed, sample_size=200), branin, 45)) for seed in range(6)]
    random = []
    for seed in range(6):
        blind = HyperoptTuner("random_search", seed=seed)
        blind.update_search_space(BRANIN)
        random.append(min(run(blind, branin, 45)))
    assert np.median(smart) - 0.3979 < (np.median(random) - 0.3979) / 2
    assert stats.wilcoxon(smart, random, alternative="less").pvalue < 0.05


# ------------------------------------------------------------------------------------------------ arguments


def test_the_network_is_trained_every_so_many_results_with_so_many_epochs(monkeypatch):
    """Z-17: after 20, 40 and 60 results."""
    trained = []

    def spy(inputs, targets, epochs, rng):
        trained.append((len(inputs), epochs))
        return train(inputs, targets, 5, rng)

    monkeypatch.setattr(_sampler, "train", spy)
    run(dngo(sample_size=50, num_epochs_per_training=123), branin, 65)
    assert trained == [(20, 123), (40, 123), (60, 123)]


def test_suggestions_are_random_before_the_first_training():
    blind = HyperoptTuner("random_search", seed=0)
    blind.update_search_space(BRANIN)
    tuner = dngo(trials_per_update=6, num_epochs_per_training=20)
    alike = []
    for number in range(8):
        configuration = tuner.generate_parameters(number)
        alike.append(configuration == blind.generate_parameters(number))
        tuner.receive_trial_result(number, configuration, branin(configuration))
    assert alike == [True] * 6 + [False] * 2


def test_results_since_the_training_count_too():
    one, other = (dngo(num_epochs_per_training=20) for _ in range(2))
    blind = HyperoptTuner("random_search", seed=1)
    blind.update_search_space(BRANIN)
    data = [{"parameter": c, "value": branin(c)} for c in map(blind.generate_parameters, range(35))]
    one.import_data(data[:20])
    other.import_data(data)  # no training follows
    suggested = [tuner.generate_multiple_parameters(list(range(4))) for tuner in (one, other)]
    assert suggested[0] != suggested[1]


def test_more_samples_find_more_improvement(monkeypatch):
    scores = []
    original = _sampler.Acquisition.__call__

    def spy(self, mean, variance):
        score = original(self, mean, variance)
        scores.append((len(score), score.max()))
        return score

    monkeypatch.setattr(_sampler.Acquisition, "__call__", spy)
    best = {}
    for size in (4, 400):
        tuner = dngo(sample_size=size, num_epochs_per_training=50)
        blind = HyperoptTuner("random_search", seed=1)
        blind.update_search_space(BRANIN)
        tuner.import_data([{"parameter": c, "value": branin(c)} for c in map(blind.generate_parameters, range(20))])
        scores.clear()
        tuner.generate_multiple_parameters(list(range(5)))
        assert {length for length, _ in scores} == {size}
        best[size] = np.mean([score for _, score in scores])
    assert best[400] > best[4]


# ------------------------------------------------------------------------------------------------ the mathematics


def test_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    network = Network.untrained(3, rng)
    inputs, targets = rng.uniform(-1, 1, (7, 3)), rng.standard_normal(7)
    _, gradients = network.loss_and_gradients(inputs, targets)
    parameters = [*network.weights, *network.biases]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        place = tuple(int(rng.integers(size)) for size in parameter.shape)
        around = []
        for step in (1e-6, -2e-6):
            parameter[place] += step
            around.append(network.loss_and_gradients(inputs, targets)[0])
        parameter[place] += 1e-6
        assert gradient[place] == pytest.approx((around[0] - around[1]) / 2e-6, rel=1e-4, abs=1e-8)


def test_a_trained_network_fits_and_one_is_like_another_of_the_same_seed():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (150, 2))
    targets = np.sin(3 * inputs[:, 0]) * inputs[:, 1]
    targets = (targets - targets.mean()) / targets.std()
    untrained = train(inputs, targets, 1, np.random.default_rng(1)).loss_and_gradients(inputs, targets)[0]
    network = train(inputs, targets, 200, np.random.default_rng(1))
    assert network.loss_and_gradients(inputs, targets)[0] < untrained / 5
    again = train(inputs, targets, 200, np.random.default_rng(1))
    assert (network.features(inputs) == again.features(inputs)).all()


def test_the_regression_is_that_of_the_textbook():
    rng = np.random.default_rng(0)
    features, new = rng.standard_normal((30, 4)), rng.standard_normal((6, 4))
    targets = features @ [1.0, -2.0, 0.5, 0.0] + 0.3 + 0.1 * rng.standard_normal(30)
    regression = BayesianRegression(features, targets)
    phi, phi_new = (np.column_stack([f, np.ones(len(f))]) for f in (features, new))
    covariance = np.linalg.inv(regression.alpha * np.eye(5) + regression.beta * phi.T @ phi)
    mean, variance = regression.predict(new)
    assert mean == pytest.approx(phi_new @ covariance @ phi.T @ targets * regression.beta)
    assert variance == pytest.approx(np.einsum("ij,jk,ik->i", phi_new, covariance, phi_new))
    marginal = stats.multivariate_normal(np.zeros(30), phi @ phi.T / regression.alpha + np.eye(30) / regression.beta)
    assert regression.log_evidence(regression.alpha, regression.beta) == pytest.approx(marginal.logpdf(targets))
    assert 1 / math.sqrt(regression.beta) == pytest.approx(0.1, rel=0.4)  # the noise
    for factor in (0.5, 2.0):
        assert regression.log_evidence(regression.alpha * factor, regression.beta) < marginal.logpdf(targets)
        assert regression.log_evidence(regression.alpha, regression.beta * factor) < marginal.logpdf(targets)


def test_the_precision_of_the_weights_can_be_bounded():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 4))
    targets = 0.1 * features.sum(axis=1)
    free, bound = BayesianRegression(features, targets), BayesianRegression(features, targets, largest_alpha=0.02)
    assert free.alpha > 0.02
    assert bound.alpha == pytest.approx(0.02)


def test_uncertainty_grows_away_from_the_observations():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 3))
    regression = BayesianRegression(features, features.sum(axis=1))
    _, variance = regression.predict(np.array([[0.0, 0, 0], [9, 9, 9]]))
    assert variance[1] > 10 * variance[0]


# ------------------------------------------------------------------------------------------------ trials


def test_a_batch_has_no_two_alike_and_knows_of_those_that_run():
    space = {"n": {"_type": "randint", "_value": [0, 40]}}
    tuner = dngo(space, trials_per_update=5, num_epochs_per_training=30, sample_size=200)
    run(tuner, lambda c: abs(c["n"] - 13), 10)
    batch = tuner.generate_multiple_parameters(list(range(10, 30)))
    assert len({json_key(configuration) for configuration in batch}) == 20


@pytest.mark.parametrize(
    "space",
    [{}, {"c": {"_type": "uniform", "_value": [4, 4]}}, {"k": {"_type": "choice", "_value": [7]}, **BRANIN}],
)
def test_odd_spaces_are_searched_like_any(space):
    tuner = dngo(space, trials_per_update=4, num_epochs_per_training=10, sample_size=3)
    for number in range(10):
        configuration = tuner.generate_parameters(number)
        assert contains(parse(space), configuration)
        tuner.receive_trial_result(number, configuration, number % 5)


TRIAL = """
import nni
p = nni.get_next_parameter()
nni.report_final_result((p["x"] - 0.3) ** 2)
"""


@pytest.mark.slow
def test_dngo_runs_by_its_documented_name(isolated_home: Path, tmp_path: Path, free_port: int):
    (tmp_path / "trial.py").write_text(TRIAL)
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    config.trial_command, config.trial_code_directory = "python3 trial.py", tmp_path
    config.trial_concurrency, config.max_trial_number = 2, 10
    config.tuner = {"name": "DNGOTuner", "class_args": {"optimize_mode": "minimize", "trials_per_update": 4}}
    assert experiment.run(free_port), experiment.get_status()
    results = experiment.export_data()
    assert [result.value for result in results] == [(result.parameter["x"] - 0.3) ** 2 for result in results]
