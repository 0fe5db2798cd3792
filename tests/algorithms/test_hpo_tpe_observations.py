"""What TPE takes for good and for bad, and how much each observation counts."""

from __future__ import annotations

import math

import pytest

from nni.algorithms.hpo._tpe import TpeSampler
from nni.algorithms.hpo._tpe._observations import Losses
from nni.algorithms.hpo._tpe._sampler import _fading
from nni.search_space import parse

LINE = parse({"x": {"_type": "uniform", "_value": [0, 1]}})


def losses(*values):
    kept = Losses()
    for value in values:
        kept.add(value)
    return kept


@pytest.mark.parametrize(("observations", "good"), [(10, 1), (11, 2), (100, 10), (250, 25), (400, 25)])
def test_a_tenth_of_the_observations_is_good_but_never_more_than_25(observations, good):
    sampler = TpeSampler(LINE)
    for number in range(observations):
        sampler.observe({"x": number / observations}, float(number))
    best, rest = sampler._densities(sampler._top)
    assert best._rows[:, 0].tolist() == [number / observations for number in range(good)]
    assert len(rest._rows) == observations - good


def test_the_smallest_losses_are_good_and_of_equal_ones_the_earlier():
    assert losses(3, 1, 2, 1).good(2).tolist() == [False, True, False, True]
    assert losses(1, 1, 1).good(1).tolist() == [True, False, False]


@pytest.mark.parametrize("failure", [math.inf, math.nan])
def test_a_failure_is_never_good(failure):
    assert losses(failure, 1, failure).good(2).tolist() == [False, True, False]


def test_a_lie_has_the_share_of_losses_that_are_no_larger():
    known = losses(1, 2, 6, math.inf)
    assert known.share_up_to("min") == pytest.approx(1 / 3)
    assert known.share_up_to("mean") == pytest.approx(2 / 3)
    assert known.share_up_to("max") == 1
    assert losses(1, 1, 5).share_up_to("min") == pytest.approx(2 / 3)
    assert losses(math.inf).share_up_to("min") == 1


def test_the_newest_25_bad_observations_count_in_full_and_older_ones_fade():
    weights = _fading(125).tolist()
    assert weights[-25:] == [1] * 25
    assert weights[0] == pytest.approx(1 / 125)
    assert weights[:100] == sorted(weights[:100])
    assert _fading(25).tolist() == [1] * 25
