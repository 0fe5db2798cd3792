"""The densities of TPE are densities: they integrate to one, and draws follow them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from nni.algorithms.hpo._tpe._groups import is_unordered, top_group
from nni.algorithms.hpo._tpe._kernels import KernelMixture
from nni.search_space import Encoder, log_prior, parse

ENTRIES = {
    "choice": {"_type": "choice", "_value": ["a", "b", "c"]},
    "branches": {"_type": "choice", "_value": [{"_name": "a"}, {"_name": "b"}]},
    "randint": {"_type": "randint", "_value": [0, 7]},
    "large randint": {"_type": "randint", "_value": [0, 300]},
    "uniform": {"_type": "uniform", "_value": [2, 5]},
    "loguniform": {"_type": "loguniform", "_value": [1e-3, 1]},
    "normal": {"_type": "normal", "_value": [1, 2]},
    "quniform": {"_type": "quniform", "_value": [2, 10, 5]},
    "fine quniform": {"_type": "quniform", "_value": [0, 1, 0.002]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 50, 1]},
    "qnormal": {"_type": "qnormal", "_value": [0, 3, 1]},
    "qlognormal": {"_type": "qlognormal", "_value": [0, 1, 1]},
}


def mixture(kind, observed=6, seed=1):
    encoder = Encoder(parse({"x": ENTRIES[kind]}))
    group = top_group(encoder)
    rng = np.random.default_rng(seed)
    for row in encoder.sample(observed, rng):
        group.add(row, 0.0)
    return encoder, group, KernelMixture(group, group.rows.all, rng.uniform(0.2, 1, observed))


def masses(kind, **kwargs):
    """Values of a discrete variable (all, or nearly all of the mass) with their masses under the mixture."""
    encoder, group, kernels = mixture(kind, **kwargs)
    values = np.unique(encoder.sample(100_000, np.random.default_rng(0)))[:, None]
    return values.ravel(), np.exp(kernels.log_ratio(values, group.edges(values)) + log_prior(encoder, values).ravel())


@pytest.mark.parametrize("kind", ["choice", "branches", "randint", "large randint", "quniform", "qloguniform"])
@pytest.mark.parametrize("observed", [0, 1, 6, 400])
def test_masses_of_discrete_variables_sum_to_one(kind, observed):
    assert masses(kind, observed=observed)[1].sum() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("kind", ["qnormal", "qlognormal", "fine quniform"])
def test_masses_sum_to_one_up_to_values_never_drawn(kind):
    assert masses(kind, observed=60)[1].sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("kind", "low", "high"), [("uniform", 0, 1), ("loguniform", 0, 1), ("normal", -40, 40)])
@pytest.mark.parametrize("observed", [0, 1, 40])
def test_densities_of_real_variables_integrate_to_one(kind, low, high, observed):
    encoder, group, kernels = mixture(kind, observed=observed)
    points = np.linspace(low, high, 20_001)[:, None]
    density = np.exp(kernels.log_ratio(points, group.edges(points)) + log_prior(encoder, points).ravel())
    assert integrate.trapezoid(density, points.ravel()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["choice", "branches", "randint", "quniform", "qloguniform", "qlognormal"])
def test_draws_of_discrete_variables_follow_the_masses(kind):
    values, expected = masses(kind)
    draws = mixture(kind)[2].sample(20_000, np.random.default_rng(3))
    counts = np.array([np.sum(draws == value) for value in values])
    often = expected * len(draws) > 10
    shares = expected[often] / expected[often].sum()
    assert stats.chisquare(counts[often], shares * counts[often].sum()).pvalue > 0.001


@pytest.mark.parametrize(("kind", "low", "high"), [("uniform", 0, 1), ("normal", -40, 40)])
def test_draws_of_real_variables_follow_the_density(kind, low, high):
    encoder, group, kernels = mixture(kind)
    points = np.linspace(low, high, 20_001)[:, None]
    density = np.exp(kernels.log_ratio(points, group.edges(points)) + log_prior(encoder, points).ravel())
    steps = np.cumsum(density) / density.sum()
    draws = kernels.sample(20_000, np.random.default_rng(4)).ravel()
    assert stats.kstest(draws, lambda x: np.interp(x, points.ravel(), steps)).pvalue > 0.001


def same_all_over(kind, times):
    """A mixture of observations that are all the same, and their row."""
    encoder = Encoder(parse({"x": ENTRIES[kind]}))
    group = top_group(encoder)
    row = encoder.sample(1, np.random.default_rng(0))[0]
    for _ in range(times):
        group.add(row, 0.0)
    return KernelMixture(group, group.rows.all, np.ones(times)), row


@pytest.mark.parametrize(("kind", "finest"), [("uniform", 0.01), ("normal", 0.05)])
def test_kernels_are_never_narrower_than_a_hundredth_of_the_range(kind, finest):
    assert same_all_over(kind, 500)[0]._widths.tolist() == [finest]


@pytest.mark.parametrize(("kind", "pseudo"), [("choice", 1), ("branches", 4)])
def test_an_unseen_option_has_pseudo_counts_and_a_branch_more_of_them(kind, pseudo):
    kernels, row = same_all_over(kind, 6)
    options = len(ENTRIES[kind]["_value"])
    other = np.array([[(row[0] + 1) % options]])
    unseen = float(np.exp(kernels.log_ratio(other, (other - 0.5, other + 0.5)))[0]) / options
    assert unseen == pytest.approx((6 * pseudo / (6 + pseudo * options) + 1 / options) / 7)


@pytest.mark.parametrize(("size", "unordered"), [(64, True), (65, False)])
def test_a_randint_is_unordered_up_to_64_values(size, unordered):
    (dimension,) = Encoder(parse({"x": {"_type": "randint", "_value": [0, size]}})).dimensions
    assert is_unordered(dimension) is unordered


def test_kernels_of_several_dimensions_are_products():
    """With one observation and next to no prior, the log ratio is the sum of those of the dimensions."""
    space = {"u": ENTRIES["uniform"], "q": ENTRIES["quniform"], "c": ENTRIES["choice"], "n": ENTRIES["normal"]}
    encoder = Encoder(parse(space))
    rng = np.random.default_rng(0)
    rows, observed = encoder.sample(5, rng), encoder.sample(1, rng)
    group, heavy = top_group(encoder), np.array([1e12])
    joint = KernelMixture(group, observed, heavy)
    total = np.zeros(5)
    for place, name in enumerate(space):
        single = Encoder(parse({name: space[name]}))
        one = KernelMixture(top_group(single), observed[:, [place]], heavy)
        one._widths = joint._widths[[list(group.numeric).index(place)]] if place in group.numeric else one._widths
        one = rebuilt(one)
        total += one.log_ratio(rows[:, [place]], top_group(single).edges(rows[:, [place]]))
    np.testing.assert_allclose(joint.log_ratio(rows, group.edges(rows)), total, rtol=1e-6, atol=1e-6)


def rebuilt(kernels):
    """Work out again what follows from the widths: a product has its own rule for them."""
    widths = kernels._widths
    kernels._bandwidths = lambda: widths
    KernelMixture.__init__(kernels, kernels._group, kernels._rows, np.array([1e12]))
    return kernels
