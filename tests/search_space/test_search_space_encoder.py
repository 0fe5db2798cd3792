"""Configurations as rows of numbers, there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nni.search_space import (
    Encoder,
    Kind,
    SearchSpaceError,
    contains,
    from_unit,
    json_key,
    log_prior,
    parse,
    sample_many,
    to_unit,
)

EPS = {"_type": "loguniform", "_value": [1e-6, 1e-2]}
ALL = {
    "choice": {"_type": "choice", "_value": ["a", None, [1, 2], {"plain": 1}]},
    "randint": {"_type": "randint", "_value": [-3, 9]},
    "uniform": {"_type": "uniform", "_value": [-1, 3]},
    "quniform": {"_type": "quniform", "_value": [2, 10, 5]},
    "loguniform": {"_type": "loguniform", "_value": [1e-5, 10]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 100, 1]},
    "normal": {"_type": "normal", "_value": [3, 2]},
    "qnormal": {"_type": "qnormal", "_value": [3, 2, 0.5]},
    "lognormal": {"_type": "lognormal", "_value": [1, 0.5]},
    "qlognormal": {"_type": "qlognormal", "_value": [0, 1, 1]},
    "constant": {"_type": "uniform", "_value": [4, 4]},
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "empty"},
            {
                "_name": "conv",
                "kernel": {"_type": "quniform", "_value": [1, 7, 2]},
                "norm": {"_type": "choice", "_value": ["none", {"_name": "batch", "eps": EPS}]},
            },
        ],
    },
}
SPACE = parse(ALL)
ENCODER = Encoder(SPACE)


def same(one, other):
    """Equal up to the rounding of logarithms."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float):
        return isinstance(other, float) and math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    return json_key(one) == json_key(other) and type(one) is type(other)


def column(name):
    return next(d for d in ENCODER.dimensions if d.name == name)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_configuration_survives_the_round_trip(seed):
    configuration = sample_many(SPACE, 1, np.random.default_rng(seed))[0]
    assert same(ENCODER.decode(ENCODER.encode([configuration]))[0], configuration)


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=len(ENCODER), max_size=len(ENCODER)))
def test_any_numbers_decode_to_a_configuration_of_the_space(numbers):
    assert contains(SPACE, ENCODER.decode(np.array([numbers]))[0])


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=len(ENCODER), max_size=len(ENCODER)))
def test_snapping_is_idempotent_and_is_what_decoding_rounds_to(numbers):
    snapped = ENCODER.snap(np.array([numbers]))
    np.testing.assert_allclose(ENCODER.snap(snapped), snapped, atol=1e-12)
    np.testing.assert_allclose(ENCODER.encode(ENCODER.decode(snapped)), snapped, atol=1e-12)


def test_quantised_columns_are_exact_so_that_rows_can_be_compared():
    rows = ENCODER.sample(500, np.random.default_rng(0))
    again = ENCODER.encode(ENCODER.decode(rows))
    for name in ("quniform", "qloguniform", "qnormal", "qlognormal", "randint", "choice"):
        assert (rows[:, column(name).index] == again[:, column(name).index]).all()


def test_draws_on_the_internal_scale_are_draws_from_the_prior():
    rng = np.random.default_rng(1)
    encoded = ENCODER.encode(sample_many(SPACE, 4000, rng))
    direct = ENCODER.sample(4000, rng)
    for dimension in ENCODER.dimensions:
        one, other = encoded[:, dimension.index], direct[:, dimension.index]
        assert stats.ks_2samp(one[~np.isnan(one)], other[~np.isnan(other)]).pvalue > 0.001


def test_columns_say_what_they_are():
    assert column("choice").kind is Kind.CATEGORICAL
    assert column("choice").size == 4
    assert column("randint").kind is Kind.INTEGER
    assert (column("uniform").kind, column("uniform").lower, column("uniform").upper) == (Kind.REAL, 0, 1)
    assert (column("quniform").kind, column("quniform").size) == (Kind.QUANTISED, 3)
    assert (column("normal").lower, column("normal").upper, column("normal").size) == (-math.inf, math.inf, None)


def test_columns_of_branches_know_their_parent():
    eps, norm, layer = column("layer.conv.norm.batch.eps"), column("layer.conv.norm"), column("layer")
    assert (eps.parent, eps.parent_option) == (norm.index, 1)
    assert (norm.parent, norm.parent_option) == (layer.index, 1)
    assert layer.parent is None


def test_columns_of_branches_not_taken_are_nan():
    configuration = sample_many(SPACE, 1, np.random.default_rng(0))[0]
    plain = ENCODER.encode([{**configuration, "layer": {"_name": "empty"}}])[0]
    deep = {"_name": "conv", "kernel": 3.0, "norm": {"_name": "batch", "eps": 1e-4}}
    nested = ENCODER.encode([{**configuration, "layer": deep}])[0]
    below = [d.index for d in ENCODER.dimensions if d.parent is not None]
    assert np.isnan(plain[below]).all()
    assert not np.isnan(nested).any()


def test_the_internal_scale_of_log_types_is_logarithmic():
    encoder = Encoder(parse({"x": {"_type": "loguniform", "_value": [1e-4, 1]}}))
    assert encoder.encode([{"x": 1e-4}, {"x": 1e-2}, {"x": 1}]).ravel().tolist() == pytest.approx([0, 0.5, 1])


def test_a_rounded_log_value_of_zero_stands_in_the_middle_of_its_half_bin():
    encoder = Encoder(parse({"x": {"_type": "qlognormal", "_value": [1, 2, 0.8]}}))
    assert encoder.encode([{"x": 0}]).item() == pytest.approx((math.log(0.8 / 4) - 1) / 2)


def test_bins_that_floating_point_cannot_tell_apart_have_no_ends():
    encoder = Encoder(parse({"x": {"_type": "qlognormal", "_value": [0, 50, 1]}}))
    below, above = encoder.edges(encoder.encode([{"x": 1e9}, {"x": 1e15}, {"x": 1e17}]))
    assert np.isnan(below).ravel().tolist() == [False, True, True]
    assert (below < above).ravel().tolist() == [True, False, False]
    encoder = Encoder(parse({"x": {"_type": "qnormal", "_value": [0, 1e17, 1]}}))
    below, above = encoder.edges(encoder.encode([{"x": 1e15}, {"x": 1e17 + 32}]))
    assert np.isnan(below).ravel().tolist() == np.isnan(above).ravel().tolist() == [False, True]


@pytest.mark.parametrize("entry", [("quniform", [3, 3, 5]), ("uniform", [2, 2]), ("randint", [4, 5]), ("choice", [1])])
def test_a_constant_has_all_of_its_prior_at_its_value(entry):
    encoder = Encoder(parse({"x": {"_type": entry[0], "_value": entry[1]}}))
    assert log_prior(encoder, encoder.sample(2, np.random.default_rng(0))).ravel().tolist() == [0, 0]


def test_integers_share_the_internal_scale_equally():
    encoder = Encoder(parse({"x": {"_type": "randint", "_value": [7, 11]}}))
    rows = encoder.encode([{"x": x} for x in range(7, 11)])
    below, above = encoder.edges(rows)
    assert below.ravel().tolist() == pytest.approx([0, 0.25, 0.5, 0.75])
    assert above.ravel().tolist() == pytest.approx([0.25, 0.5, 0.75, 1])


def test_masses_of_bins_are_those_of_the_prior():
    encoder = Encoder(parse({"x": {"_type": "quniform", "_value": [2, 10, 5]}}))
    rows = encoder.encode([{"x": 2}, {"x": 5}, {"x": 10}])
    assert np.exp(log_prior(encoder, rows)).ravel().tolist() == pytest.approx([0.0625, 0.625, 0.3125])


@pytest.mark.parametrize("kind", ["qnormal", "qlognormal", "qloguniform", "randint", "choice"])
def test_masses_of_a_discrete_prior_are_the_frequencies_of_its_draws(kind):
    encoder = Encoder(parse({"x": ALL[kind]}))
    rows = encoder.sample(20000, np.random.default_rng(2))
    values, counts = np.unique(rows, return_counts=True)
    masses = np.exp(log_prior(encoder, values[:, None])).ravel()
    often = counts > 50
    assert stats.chisquare(counts[often], masses[often] / masses[often].sum() * counts[often].sum()).pvalue > 0.001


def test_the_prior_of_inactive_columns_is_nan():
    rows = ENCODER.sample(50, np.random.default_rng(0))
    assert (np.isnan(log_prior(ENCODER, rows)) == np.isnan(rows)).all()


def test_the_unit_cube_holds_every_number_and_gives_it_back():
    rows = ENCODER.sample(200, np.random.default_rng(0))
    unit = to_unit(ENCODER, rows)
    numeric = [d.index for d in ENCODER.dimensions if d.kind is not Kind.CATEGORICAL]
    assert np.nanmin(unit[:, numeric]) >= 0
    assert np.nanmax(unit[:, numeric]) <= 1
    np.testing.assert_allclose(from_unit(ENCODER, unit), rows, atol=1e-6)
    assert all(
        contains(SPACE, c) for c in ENCODER.decode(from_unit(ENCODER, np.where(np.isnan(unit), 0, unit * 3 - 1)))
    )


def test_an_option_outside_the_choice_is_an_error():
    with pytest.raises(SearchSpaceError, match="'c' is none of the options"):
        Encoder(parse({"x": {"_type": "choice", "_value": ["a", "b"]}})).encode([{"x": "c"}])


def test_nothing_encodes_to_nothing():
    assert ENCODER.encode([]).shape == (0, len(ENCODER))
    assert Encoder(parse({})).decode(np.empty((2, 0))) == [{}, {}]
