"""Results from elsewhere are checked before the tuner sees any of them."""

from __future__ import annotations

import pytest

from nni.server.imports import checked_import
from nni.server.refused import RefusedError

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({}, "must be a list"),
        ([1], "item 0"),
        ([{"parameter": {}}], "item 0"),
        ([{"parameter": 3, "value": 1}], "item 0"),
        ([{"parameter": {"x": 0.1}, "value": 1}, {"parameter": {"xx": 0.1}, "value": 1}], "item 1.*did you mean 'x'"),
        ([{"parameter": {}, "value": 1}], "'x' of the search space is missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(data, place):
    with pytest.raises(RefusedError, match=place):
        checked_import(data, SPACE)


def test_a_budget_may_come_with_the_parameters():
    data = [{"parameter": {"x": 0.1, "TRIAL_BUDGET": 27}, "value": {"default": 1}}]
    assert checked_import(data, SPACE) == data


def test_a_custom_algorithm_gets_the_items_that_it_understands():
    assert checked_import([1, {"anything": 2}], SPACE, custom=True) == [1, {"anything": 2}]
    with pytest.raises(RefusedError, match="must be a list"):
        checked_import({"anything": 2}, SPACE, custom=True)
