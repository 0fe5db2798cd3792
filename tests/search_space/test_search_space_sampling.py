"""Draws follow the documented formulae: distributions, not just ranges (Z-04)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nni.search_space import SearchSpaceError, parse, sample, sample_many

N = 100_000


def draws(kind, value, n=N, seed=0):
    space = parse({"x": {"_type": kind, "_value": value}})
    return np.array([c["x"] for c in sample_many(space, n, np.random.default_rng(seed))])


def assert_masses(values, expected):
    """Chi-square of the values against {value: probability}."""
    found, counts = np.unique(values, return_counts=True)
    assert found.tolist() == sorted(expected)
    probabilities = np.array([expected[value] for value in found])
    assert stats.chisquare(counts, probabilities * len(values)).pvalue > 0.001


def assert_distribution(values, cdf):
    assert stats.kstest(values, cdf).pvalue > 0.001


def test_choice_is_uniform_over_options():
    assert_masses(draws("choice", [3, 1, 7]), {1: 1 / 3, 3: 1 / 3, 7: 1 / 3})


def test_randint_never_reaches_its_upper_end():
    values = draws("randint", [-2, 3])
    assert values.dtype.kind == "i"
    assert_masses(values, dict.fromkeys(range(-2, 3), 0.2))


def test_randint_is_exact_for_large_integers():
    space = parse({"x": {"_type": "randint", "_value": [2**62, 2**62 + 3]}})
    found = {c["x"] for c in sample_many(space, 50, np.random.default_rng(0))}
    assert found == {2**62, 2**62 + 1, 2**62 + 2}


def test_uniform():
    assert_distribution(draws("uniform", [-1, 3]), stats.uniform(-1, 4).cdf)


def test_quniform_end_bins_have_half_the_mass():
    assert_masses(draws("quniform", [0, 10, 2.5]), {0: 1 / 8, 2.5: 1 / 4, 5: 1 / 4, 7.5: 1 / 4, 10: 1 / 8})


def test_quniform_of_odd_bounds_has_unequal_masses():
    assert_masses(draws("quniform", [2, 10, 5]), {2: 0.0625, 5: 0.625, 10: 0.3125})


def test_loguniform():
    values = draws("loguniform", [1e-5, 10])
    assert 1e-5 <= values.min() <= values.max() <= 10
    assert_distribution(values, stats.loguniform(1e-5, 10).cdf)


def test_qloguniform():
    edges = np.log([1, 1.5, 2.5, 3.5, 4])
    masses = np.diff(edges) / math.log(4)
    assert_masses(draws("qloguniform", [1, 4, 1]), dict(zip([1, 2, 3, 4], masses, strict=True)))


def test_normal():
    assert_distribution(draws("normal", [3, 2]), stats.norm(3, 2).cdf)


def test_qnormal_is_not_clipped():
    values = draws("qnormal", [0, 1, 1])
    inner = {k: stats.norm.cdf(k + 0.5) - stats.norm.cdf(k - 0.5) for k in (-1, 0, 1)}
    rest = 1 - sum(inner.values())
    assert_masses(np.where(abs(values) > 1, 9, values), {**inner, 9: rest})
    assert set(values) > {-2, 2}
    assert not np.signbit(values[values == 0]).any()  # a plain zero, not -0.0


def test_lognormal():
    assert_distribution(draws("lognormal", [1, 0.5]), stats.lognorm(0.5, scale=math.e).cdf)


def test_qlognormal_can_be_zero_but_not_less():
    values = draws("qlognormal", [0, 1, 1])
    cdf = stats.lognorm(1).cdf
    masses = {0: cdf(0.5), 1: cdf(1.5) - cdf(0.5), 2: cdf(2.5) - cdf(1.5), 9: 1 - cdf(2.5)}
    assert_masses(np.where(values > 2, 9, values), masses)


def test_values_beyond_floating_point_are_cut_off():
    assert np.isfinite(draws("lognormal", [700, 100], n=1000)).all()


def test_quantised_types_give_floats_and_plain_python_objects():
    space = parse(
        {
            "q": {"_type": "quniform", "_value": [1, 9, 1]},
            "r": {"_type": "randint", "_value": [1, 9]},
            "u": {"_type": "uniform", "_value": [0, 1]},
        }
    )
    configuration = sample(space, np.random.default_rng(0))
    assert [type(value) for value in configuration.values()] == [float, int, float]


def test_nested_draws_hold_the_branch_taken_and_no_other():
    kernel = {"_type": "choice", "_value": [3, 5]}
    raw = {"layer": {"_type": "choice", "_value": [{"_name": "empty"}, {"_name": "conv", "kernel": kernel}, "skip"]}}
    found = [c["layer"] for c in sample_many(parse(raw), 3000, np.random.default_rng(0))]
    counts = [
        sum(1 for c in found if c == {"_name": "empty"}),
        sum(1 for c in found if c == {"_name": "conv", "kernel": 3}),
        sum(1 for c in found if c == {"_name": "conv", "kernel": 5}),
        sum(1 for c in found if c == "skip"),
    ]
    assert sum(counts) == 3000
    assert stats.chisquare(counts, [1000, 500, 500, 1000]).pvalue > 0.001


def test_the_same_state_gives_the_same_draw():
    space = parse({"x": {"_type": "normal", "_value": [0, 1]}, "y": {"_type": "randint", "_value": [0, 100]}})
    assert sample(space, np.random.default_rng(5)) == sample(space, np.random.default_rng(5))


def test_types_of_custom_tuners_cannot_be_drawn():
    with pytest.raises(SearchSpaceError, match="custom"):
        sample(parse({"x": {"_type": "mine", "_value": 1}}, allow_custom=True), np.random.default_rng(0))
