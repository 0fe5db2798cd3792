"""The Gaussian process: gradients against differences, predictions against the textbook's formulae."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from nni.algorithms.hpo._gp import GaussianProcess, Kernel
from nni.algorithms.hpo._gp._matern import matern
from nni.search_space import Encoder, parse, to_unit

SPACE = parse(
    {
        "x": {"_type": "uniform", "_value": [0, 2]},
        "n": {"_type": "normal", "_value": [0, 1]},
        "colour": {"_type": "choice", "_value": ["red", "green", "blue"]},
        "size": {"_type": "choice", "_value": [16, 32, 64]},
        "model": {
            "_type": "choice",
            "_value": [
                {"_name": "linear", "l2": {"_type": "loguniform", "_value": [1e-3, 1]}},
                {
                    "_name": "net",
                    "lr": {"_type": "loguniform", "_value": [1e-3, 1]},
                    "layer": {
                        "_type": "choice",
                        "_value": [{"_name": "conv", "k": {"_type": "uniform", "_value": [0, 1]}}, {"_name": "none"}],
                    },
                },
                {"_name": "constant"},
            ],
        },
        "other": {
            "_type": "choice",
            "_value": [{"_name": "a", "p": {"_type": "uniform", "_value": [0, 1]}}, {"_name": "b"}],
        },
    }
)


def nested(n, seed=0):
    encoder = Encoder(SPACE)
    rng = np.random.default_rng(seed)
    rows = to_unit(encoder, encoder.sample(n, rng))
    return encoder, rows, rng.standard_normal(n)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5, 1.1, 3.7, np.inf])
def test_the_slope_of_the_matern_function_is_its_derivative(nu):
    squared = np.array([0.01, 0.5, 3.0])
    value, slope = matern(squared, nu)
    step = 1e-6
    up, down = matern(squared + step, nu)[0], matern(squared - step, nu)[0]
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-4)
    assert np.all(np.diff(value) < 0)


def test_general_smoothness_agrees_with_the_closed_form():
    squared = np.linspace(0, 9, 50)
    assert matern(squared, 2.5 + 1e-9)[0] == pytest.approx(matern(squared, 2.5)[0], abs=1e-6)


def test_the_covariance_of_a_nested_space_is_positive_definite():
    encoder, rows, _ = nested(80)
    kernel = Kernel.of(encoder)
    theta = np.random.default_rng(1).normal(size=kernel.size)
    embedded = kernel.embed(rows)
    covariance, _ = kernel.value(theta, embedded, embedded)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    assert np.diag(covariance) == pytest.approx(kernel.diagonal(theta, embedded))


def test_the_gradient_of_the_posterior_is_right_for_a_nested_space():
    encoder, rows, values = nested(25)
    process = GaussianProcess(Kernel.of(encoder))
    theta = process._pack() + np.random.default_rng(2).normal(size=process.kernel.size + 2) * 0.3
    embedded = process.kernel.embed(rows)
    _, gradient = process._negative_log_posterior(theta, embedded, values)
    numeric = approx_fprime(theta, lambda t: process._negative_log_posterior(t, embedded, values)[0], 1e-6)
    assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_the_gradient_of_a_prediction_is_right_for_a_nested_space():
    encoder, rows, values = nested(25)
    process = GaussianProcess(Kernel.of(encoder)).condition(rows, values)
    _, at, _ = nested(12, seed=3)
    _, _, by_mean, by_variance = process.predict_with_gradient(at)
    for row in range(len(at)):
        for column in range(at.shape[1]):
            if encoder.dimensions[column].kind.value != "real" or np.isnan(at[row, column]):
                assert by_mean[row, column] == 0
                continue
            step = np.zeros_like(at)
            step[row, column] = 1e-5
            (mean_up, var_up), (mean_down, var_down) = process.predict(at + step), process.predict(at - step)
            assert by_mean[row, column] == pytest.approx((mean_up - mean_down)[row] / 2e-5, abs=1e-5)
            assert by_variance[row, column] == pytest.approx((var_up - var_down)[row] / 2e-5, abs=1e-5)


def test_predictions_are_those_of_the_closed_form():
    rng = np.random.default_rng(0)
    rows, values, at = rng.random((12, 3)), rng.standard_normal(12), rng.random((5, 3))
    process = GaussianProcess(Kernel.numeric(3), noise=0.1).condition(rows, values)
    scale, noise = process.hyperparameters.scale, process.hyperparameters.noise
    lengths = np.exp(process.hyperparameters.kernel)

    def covariance(a, b):
        return scale * matern((((a[:, None] - b[None]) / lengths) ** 2).sum(axis=2), 2.5)[0]

    inverse = np.linalg.inv(covariance(rows, rows) + noise * np.eye(12))
    constant = (inverse @ values).sum() / inverse.sum()
    mean, variance = process.predict(at)
    assert mean == pytest.approx(constant + covariance(at, rows) @ inverse @ (values - constant))
    cross = covariance(at, rows)
    assert variance == pytest.approx(scale - np.einsum("ij,jk,ik->i", cross, inverse, cross))
    assert process.predict_mean(at) == pytest.approx(mean)


def test_extending_is_conditioning_on_all():
    encoder, rows, values = nested(40)
    whole = GaussianProcess(Kernel.of(encoder)).condition(rows, values)
    grown = GaussianProcess(Kernel.of(encoder)).condition(rows[:30], values[:30]).extend(rows[30:], values[30:])
    _, at, _ = nested(9, seed=5)
    for got, expected in zip(grown.predict(at), whole.predict(at), strict=True):
        assert got == pytest.approx(expected)


def test_fitting_finds_the_dimension_that_matters_and_little_noise():
    rng = np.random.default_rng(0)
    rows = rng.random((40, 3))
    values = np.sin(5 * rows[:, 1])
    process = GaussianProcess(Kernel.numeric(3)).fit(rows, values)
    lengths = process.hyperparameters.kernel
    assert lengths[1] < min(lengths[0], lengths[2]) - 1
    assert process.hyperparameters.noise < 1e-3
    at = rng.random((20, 3))
    assert process.predict(at)[0] == pytest.approx(np.sin(5 * at[:, 1]), abs=0.03)


def test_what_a_branch_showed_says_little_about_another():
    x = {"_type": "uniform", "_value": [0, 1]}
    space = parse({"m": {"_type": "choice", "_value": [{"_name": name, "x": x} for name in "ab"]}})
    encoder = Encoder(space)
    rng = np.random.default_rng(0)
    rows = encoder.sample(30, rng)
    values = np.where(rows[:, 0] == 0, rows[:, 1], -rows[:, 2])
    process = GaussianProcess(Kernel.of(encoder)).fit(rows, values)
    at = np.array([[0, 0.9, np.nan], [1, np.nan, 0.9]])
    assert process.predict(at)[0] == pytest.approx([0.9, -0.9], abs=0.05)
