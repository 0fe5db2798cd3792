"""``nni.utils``: what trials and algorithms import from it."""

import math
import subprocess
import sys
from argparse import Namespace

import pytest

from nni.utils import MetricError, MetricType, OptimizeMode, extract_scalar_reward, merge_parameter


class TestMergeParameter:
    def test_namespace_is_updated_in_place_and_returned(self):
        base = Namespace(lr=0.1, batch_size=32)
        assert merge_parameter(base, {"lr": 0.5}) is base
        assert base == Namespace(lr=0.5, batch_size=32)

    def test_dict_is_updated_in_place_and_returned(self):
        base = {"lr": 0.1}
        assert merge_parameter(base, {"lr": 0.5}) is base
        assert base == {"lr": 0.5}

    @pytest.mark.parametrize("override", [None, {}])
    def test_none_and_standalone_change_nothing(self, override):
        base = {"lr": 0.1}
        assert merge_parameter(base, override) is base
        assert base == {"lr": 0.1}

    def test_unknown_name_is_refused_with_the_nearest_one(self):
        with pytest.raises(ValueError, match=r"override_params\['learning_rat'\].*did you mean 'learning_rate'"):
            merge_parameter({"learning_rate": 0.1}, {"learning_rat": 0.2})

    def test_unknown_name_without_a_near_one_lists_what_there_is(self):
        with pytest.raises(ValueError, match="it has lr, momentum"):
            merge_parameter(Namespace(lr=0.1, momentum=0.9), {"width": 3})

    @pytest.mark.parametrize(
        ("default", "value", "merged"),
        [
            (1.0, 2, 2.0),
            (32, 64.0, 64),
            (None, "anything", "anything"),
            (True, False, False),
            ("a", "b", "b"),
            ((1,), [2, 3], (2, 3)),
        ],
    )
    def test_numbers_take_the_type_of_the_default(self, default, value, merged):
        result = merge_parameter({"x": default}, {"x": value})["x"]
        assert result == merged
        assert type(result) is type(merged)

    @pytest.mark.parametrize(
        ("default", "value"), [(32, 0.5), (32, "64"), (32, True), (True, 1), ("a", 1), (0.1, None)]
    )
    def test_other_types_are_refused_by_name(self, default, value):
        with pytest.raises(TypeError, match=rf"override_params\['x'\]: expected {type(default).__name__}"):
            merge_parameter({"x": default}, {"x": value})

    def test_an_error_leaves_the_base_unchanged(self):
        base = {"lr": 0.1, "n": 1}
        with pytest.raises(TypeError):
            merge_parameter(base, {"lr": 0.5, "n": "many"})
        assert base == {"lr": 0.1, "n": 1}

    def test_what_to_merge_must_be_a_dict(self):
        with pytest.raises(TypeError, match="override_params: expected a dict or None, got a list"):
            merge_parameter({"lr": 0.1}, [1])

    def test_base_must_be_a_namespace_or_a_dict(self):
        with pytest.raises(TypeError, match="expected a namespace or a dict, got a list"):
            merge_parameter([1], {"x": 1})


class TestExtractScalarReward:
    @pytest.mark.parametrize("value", [0.93, {"default": 0.93, "loss": "low"}])
    def test_number_or_dict_with_default(self, value):
        assert extract_scalar_reward(value) == 0.93

    def test_other_key(self):
        assert extract_scalar_reward({"loss": 3}, scalar_key="loss") == 3.0

    def test_nan_is_a_number(self):
        assert math.isnan(extract_scalar_reward({"default": math.nan}))

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ({"accuracy": 0.9}, "the key 'default', got the keys 'accuracy'"),
            ({}, "got an empty dict"),
            ({"default": "0.9"}, r"metric\['default'\]: expected a number, got '0.9'"),
            ("0.9", "expected a number or a dict with the key 'default', got '0.9'"),
            (True, "got True"),
            (None, "got None"),
            (10**400, "an integer that is too large"),
        ],
    )
    def test_anything_else_is_refused(self, value, says):
        with pytest.raises(MetricError, match=says):
            extract_scalar_reward(value)


def test_optimize_mode_comes_from_its_word():
    assert OptimizeMode("minimize") is OptimizeMode.Minimize
    assert OptimizeMode("maximize") is OptimizeMode.Maximize


def test_metric_type_is_the_protocols():
    from nni.runtime import protocol

    assert MetricType is protocol.MetricType


def test_class_args_validator_is_the_documented_one():
    import nni.algorithms
    import nni.utils

    assert nni.utils.ClassArgsValidator is nni.algorithms.ClassArgsValidator


def test_unknown_name_is_an_attribute_error():
    import nni.utils

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nni.utils.nothing  # noqa: B018


def test_import_is_light_enough_for_trials():
    code = "import sys, nni.utils; print(sorted({'logging', 'typing', 'numpy', 'nni.runtime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
