"""Configurations of a space: counted, numbered, recognised, shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.search_space import (
    SearchSpaceError,
    check_configuration,
    configuration_index,
    contains,
    flatten,
    json_key,
    nth_configuration,
    parse,
    require,
    space_size,
)

NESTED = {
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "empty"},
            {
                "_name": "conv",
                "kernel": {"_type": "choice", "_value": [1, 3, 5]},
                "bias": {"_type": "choice", "_value": [True, False]},
            },
            "skip",
        ],
    },
    "units": {"_type": "quniform", "_value": [2, 10, 5]},
}


def one(kind, value):
    return parse({"x": {"_type": kind, "_value": value}})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([0, 10, 2.5], [0, 2.5, 5, 7.5, 10]),
        ([2, 10, 5], [2, 5, 10]),
        ([0.7, 3.2, 1], [1, 2, 3]),
        ([2.4, 10, 5], [2.4, 5, 10]),
        ([2.5, 10, 5], [5, 10]),  # the bin of 0 shares a point with [2.5, 10], which has no mass
        ([0.15, 0.42, 0.1], [2 * 0.1, 3 * 0.1, 4 * 0.1]),  # as above; 0.15 / 0.1 is just below 1.5 in floating point
        ([3, 3, 5], [3]),
        ([-1, 1, 1], [-1, 0, 1]),
    ],
)
def test_the_values_of_quniform_are_the_clipped_multiples_that_have_a_mass(value, expected):
    space = one("quniform", value)
    assert [nth_configuration(space, i)["x"] for i in range(space_size(space))] == expected


def test_branches_add_up_and_parameters_multiply():
    assert space_size(parse(NESTED)) == (1 + 3 * 2 + 1) * 3


def test_spaces_with_real_numbers_have_no_size():
    assert space_size(one("uniform", [0, 1])) is None
    assert space_size(one("qnormal", [0, 1, 1])) is None


def test_every_number_has_its_configuration_and_back():
    space = parse(NESTED)
    all_of_them = [nth_configuration(space, i) for i in range(24)]
    assert len({json_key(configuration) for configuration in all_of_them}) == 24
    assert [configuration_index(space, configuration) for configuration in all_of_them] == list(range(24))
    with pytest.raises(IndexError):
        nth_configuration(space, 24)


def test_huge_grids_are_numbered_without_being_written_out():
    space = parse({f"x{i}": {"_type": "randint", "_value": [0, 1000]} for i in range(10)})
    assert space_size(space) == 10**30
    assert configuration_index(space, nth_configuration(space, 123456789 * 10**15 + 7)) == 123456789 * 10**15 + 7


def test_a_repeated_option_is_one_value():
    assert space_size(one("choice", [1, 1, 2])) == 2


def test_quantised_values_are_recognised_by_their_bin():
    space = one("quniform", [0, 1, 0.1])
    assert configuration_index(space, {"x": 0.3}) == configuration_index(space, {"x": 0.1 + 0.2}) == 3


@settings(deadline=None)
@given(
    st.floats(-100, 100),
    st.floats(0, 100),
    st.floats(0.01, 50),
)
def test_quniform_values_are_within_bounds_ascending_and_know_their_number(low, width, q):
    parameter = one("quniform", [low, low + width, q])["x"]
    values = [parameter.value_at(i) for i in range(min(parameter.size, 50))]
    assert all(low <= value <= low + width for value in values)
    assert values == sorted(set(values))
    assert [parameter.index_of(value) for value in values] == list(range(len(values)))


def test_json_equality_is_not_pythons():
    assert json_key(1) == json_key(1.0)
    assert json_key([1]) != json_key([True])
    assert json_key({"a": 1, "b": [1]}) == json_key({"b": [1.0], "a": 1})
    assert json_key(float("nan")) == json_key(float("nan"))


GOOD = {"layer": {"_name": "conv", "kernel": 3, "bias": True}, "units": 10}


def test_a_configuration_of_the_space_is_contained():
    assert contains(parse(NESTED), GOOD)
    assert contains(parse(NESTED), {"layer": {"_name": "empty"}, "units": 2.0})
    assert contains(parse(NESTED), {"layer": "skip", "units": 5})


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"unitss": 3}, "parameter.unitss", "did you mean 'units'?"),
        ({"units": 7}, "parameter.units", "quniform [2, 10, 5]"),
        ({"units": True}, "parameter.units", "True"),
        ({"units": "5"}, "parameter.units", "'5'"),
        ({"layer": {"_name": "cnv"}}, "parameter.layer", "'empty', 'conv', 'skip'"),
        ({"layer": {"_name": "conv", "kernel": 3}}, "parameter.layer.bias", "missing"),
        ({"layer": {"_name": "conv", "kernel": 2, "bias": True}}, "parameter.layer.kernel", "1, 3, 5"),
        ({"layer": {"_name": "empty", "kernel": 3}}, "parameter.layer.kernel", "no such variable"),
        ({"layer": "conv"}, "parameter.layer", "'conv'"),
    ],
)
def test_a_configuration_outside_is_named_with_the_path_of_the_fault(change, path, says):
    with pytest.raises(SearchSpaceError) as caught:
        check_configuration(parse(NESTED), {**GOOD, **change})
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "inside", "outside"),
    [
        ("randint", [0, 3], [0, 2, 1.0], [3, -1, 0.5, True, 10**400]),
        ("uniform", [0, 1], [0, 1, 0.5], [1.01, float("nan"), "0.5"]),
        ("loguniform", [0.1, 1], [0.1, 1], [0, 2]),
        ("normal", [0, 1], [-50, 0.1], [float("inf"), 10**400]),
        ("lognormal", [0, 1], [0.1], [0, -1]),
        ("qlognormal", [0, 1, 1], [0, 3], [-1, 0.5]),
        ("qnormal", [0, 1, 0.5], [-0.5, 1], [0.3, 0.52, 1e308]),
        ("choice", [1, None, [1, 2]], [1, None, [1, 2]], [True, 0, [2, 1]]),
    ],
)
def test_values_are_inside_or_outside_a_variable(kind, value, inside, outside):
    space = one(kind, value)
    assert all(contains(space, {"x": item}) for item in inside)
    assert not any(contains(space, {"x": item}) for item in outside)


def test_what_is_no_object_is_no_configuration():
    assert not contains(parse(NESTED), [1])


def test_flattening_shows_names_of_branches():
    assert flatten(GOOD) == {"layer": "conv", "layer.kernel": 3, "layer.bias": True, "units": 10}


def test_an_algorithm_refuses_types_it_cannot_search():
    with pytest.raises(SearchSpaceError, match=r"searchSpace\.x: SMAC does not support .* type normal"):
        require(one("normal", [0, 1]), ("choice", "uniform"), "SMAC")


def test_an_algorithm_refuses_types_in_branches_too():
    with pytest.raises(SearchSpaceError, match=r"_value\[1\]\.kernel"):
        require(
            parse(
                {
                    "l": {
                        "_type": "choice",
                        "_value": [1, {"_name": "a", "kernel": {"_type": "normal", "_value": [0, 1]}}],
                    }
                }
            ),
            ("choice",),
            "Grid",
        )


def test_an_algorithm_refuses_nested_choices():
    with pytest.raises(SearchSpaceError, match=r"searchSpace\.layer: Hyperband does not support nested choice"):
        require(parse(NESTED), ("choice", "quniform"), "Hyperband", nested=False)


def test_an_algorithm_refuses_options_that_are_no_numbers():
    require(one("choice", [1, 2.5]), ("choice",), "GPTuner", numeric_choice_only=True)
    with pytest.raises(SearchSpaceError, match="GPTuner supports choice only among numbers"):
        require(one("choice", [1, "2"]), ("choice",), "GPTuner", numeric_choice_only=True)
