"""What a search space may look like, and what is said about one that does not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.common.errors import NniError
from nni.search_space import TYPES, Choice, Custom, Normal, RandInt, SearchSpaceError, Uniform, parse

GOOD = {
    "choice": ["relu", "tanh"],
    "randint": [1, 5],
    "uniform": [0, 1],
    "quniform": [0, 10, 2.5],
    "loguniform": [1e-5, 1],
    "qloguniform": [1, 100, 1],
    "normal": [0, 1],
    "qnormal": [0, 1, 0.5],
    "lognormal": [0, 1],
    "qlognormal": [0, 1, 0.5],
}


def fault(kind, value):
    with pytest.raises(SearchSpaceError) as caught:
        parse({"x": {"_type": kind, "_value": value}})
    return str(caught.value)


def test_all_ten_types_are_known():
    assert set(TYPES) == set(GOOD)
    space = parse({kind: {"_type": kind, "_value": value} for kind, value in GOOD.items()})
    assert [parameter.type for parameter in space.values()] == list(GOOD)


def test_parameters_are_typed():
    space = parse({kind: {"_type": kind, "_value": value} for kind, value in GOOD.items()})
    assert isinstance(space["choice"], Choice)
    assert isinstance(space["randint"], RandInt)
    assert isinstance(space["qloguniform"], Uniform)
    assert isinstance(space["qlognormal"], Normal)
    assert (space["quniform"].low, space["quniform"].high, space["quniform"].q) == (0.0, 10.0, 2.5)


def test_a_parsed_space_is_immutable_and_parses_to_itself():
    space = parse({"x": {"_type": "uniform", "_value": [0, 1]}})
    with pytest.raises(TypeError):
        space["y"] = space["x"]
    with pytest.raises(AttributeError):
        space["x"].low = 3
    assert parse(space) is space


def test_numbers_that_yaml_left_strings_are_numbers():
    assert parse({"lr": {"_type": "loguniform", "_value": ["1e-5", "1e-1"]}})["lr"].low == 1e-5


def test_randint_takes_whole_floats():
    assert parse({"n": {"_type": "randint", "_value": [0, 1e3]}})["n"].high == 1000


def test_choice_options_stay_what_they_are():
    options = ["1e-5", 1, None, [1, 2], {"plain": 1}, True]
    assert parse({"x": {"_type": "choice", "_value": options}})["x"].options == tuple(options)


def test_combine_params_are_plain_configurations():
    space = parse({"combine_params": {"_type": "choice", "_value": [{"a": 1}, {"a": {"_type": "odd"}}]}})
    assert space["combine_params"].branches == {}


def test_nested_choices_go_to_any_depth():
    raw = {"k": {"_type": "uniform", "_value": [0, 1]}}
    for level in range(50):
        raw = {"c": {"_type": "choice", "_value": [{"_name": f"n{level}", **raw}, "leaf"]}}
    deepest = list(parse(raw).walk())[-1]
    assert deepest.type == "uniform"
    assert deepest.path.startswith("searchSpace.c._value[0].c._value[0]")
    assert deepest.path.endswith("._value[0].k")


@pytest.mark.parametrize(
    ("kind", "value", "path", "says"),
    [
        ("uniform", [0], "_value", "[low, high]"),
        ("uniform", [0, 1, 2], "_value", "got 3 values"),
        ("uniform", "0, 1", "_value", "[low, high]"),
        ("uniform", [3, 1], "_value", "low must not exceed high"),
        ("uniform", [0, True], "_value[1]", "finite numbers"),
        ("uniform", [float("nan"), 1], "_value[0]", "finite numbers"),
        ("uniform", [0, float("inf")], "_value[1]", "finite numbers"),
        ("uniform", ["low", 1], "_value[0]", "'low'"),
        ("uniform", [-1.7e308, 1.7e308], "_value", "too wide"),
        ("quniform", [0, 1, 0], "_value[2]", "q must be positive"),
        ("quniform", [0, 1, -1], "_value[2]", "q must be positive"),
        ("quniform", [0, 1e10, 1e-10], "_value[2]", "too small"),
        ("loguniform", [0, 1], "_value[0]", "must be positive"),
        ("qloguniform", [-1, 1, 1], "_value[0]", "must be positive"),
        ("normal", [0, 0], "_value[1]", "sigma must be positive"),
        ("lognormal", [1000, 1], "_value[0]", "of the logarithm"),
        ("randint", [3, 3], "_value", "upper is exclusive"),
        ("randint", [0, 2.5], "_value[1]", "integer"),
        ("randint", [0, 2**70], "_value[1]", "64 bits"),
        ("choice", [], "_value", "at least one option"),
        ("choice", 3, "_value", "list of options"),
    ],
)
def test_a_malformed_value_is_named_with_its_path(kind, value, path, says):
    text = fault(kind, value)
    assert text.startswith(f"searchSpace.x.{path}: ")
    assert says in text


def test_randint_of_one_number_is_refused_with_what_it_used_to_mean():
    assert "[0, 7]" in fault("randint", [7])


def test_an_unknown_type_is_refused_with_the_nearest_name():
    with pytest.raises(SearchSpaceError, match=r"searchSpace\.lr\._type: unknown type 'logunifrom'.*'loguniform'"):
        parse({"lr": {"_type": "logunifrom", "_value": [1, 2]}})


def test_a_fault_deep_inside_is_named_with_its_whole_path():
    kernel = {"_type": "uniform", "_value": [3]}
    raw = {"layer0": {"_type": "choice", "_value": ["skip", {"_name": "conv", "kernel": kernel}]}}
    with pytest.raises(SearchSpaceError) as caught:
        parse(raw)
    assert str(caught.value).startswith("searchSpace.layer0._value[1].kernel._value: ")


@pytest.mark.parametrize(
    ("options", "where", "says"),
    [
        ([{"k": {"_type": "uniform", "_value": [0, 1]}}], "[0]", "`_name` is missing"),
        ([{"_name": "a"}, {}], "[1]", "`_name` is missing"),
        ([{"_name": "a"}, {"_name": "a"}], "[1]._name", "already the name of option 0"),
        ([{"_name": 3}], "[0]._name", "non-empty string"),
        ([{"_name": ""}], "[0]._name", "non-empty string"),
        ([{"_name": "a", "k": 3}], "[0].k", "expected an object"),
    ],
)
def test_a_malformed_branch_is_named_with_its_path(options, where, says):
    with pytest.raises(SearchSpaceError) as caught:
        parse({"x": {"_type": "choice", "_value": options}})
    assert str(caught.value).startswith(f"searchSpace.x._value{where}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "path", "says"),
    [
        ([1, 2], "searchSpace", "object of variables"),
        ({"x": 3}, "searchSpace.x", "_type"),
        ({"x": {"_value": [1]}}, "searchSpace.x", "`_type` is missing"),
        ({"x": {"_type": "uniform"}}, "searchSpace.x", "`_value` is missing"),
        ({"x": {"_type": "uniform", "_valeu": [0, 1]}}, "searchSpace.x", "`_valeu`"),
        ({1: {"_type": "uniform", "_value": [0, 1]}}, "searchSpace", "strings"),
    ],
)
def test_a_malformed_entry_is_named_with_its_path(raw, path, says):
    with pytest.raises(SearchSpaceError) as caught:
        parse(raw)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_types_of_custom_tuners_are_kept_on_request():
    raw = {"x": {"_type": "mine", "_value": [1]}, "y": {"_type": "uniform", "_value": [0, 1]}, "z": 3}
    space = parse(raw, allow_custom=True)
    assert isinstance(space["x"], Custom)
    assert space["x"].value == {"_type": "mine", "_value": [1]}
    assert isinstance(space["y"], Uniform)


def test_a_documented_type_is_checked_even_among_custom_ones():
    with pytest.raises(SearchSpaceError, match="low must not exceed"):
        parse({"y": {"_type": "uniform", "_value": [2, 1]}}, allow_custom=True)


def test_the_error_is_one_a_user_can_act_on():
    assert issubclass(SearchSpaceError, NniError)
    assert issubclass(SearchSpaceError, ValueError)


def test_parsing_needs_the_standard_library_only():
    code = "import sys, nni.search_space, nni.algorithms.registry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["_type", "_value", "_name", "x", "y"]), inner, max_size=4)
        | st.fixed_dictionaries({"_type": st.sampled_from(TYPES), "_value": inner})
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(json_values)
def test_whatever_is_parsed_either_is_a_space_or_a_search_space_error(raw):
    fault = None
    try:
        space = parse(raw)
    except SearchSpaceError as error:
        fault = str(error)
    if fault is None:
        assert all(parameter.path.startswith("searchSpace.") for parameter in space.walk())
    else:
        assert fault.startswith("searchSpace")
