"""Names of algorithms, and what is said about wrong names and wrong class arguments."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nni.algorithms import ClassArgsError, ClassArgsValidator, registry
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner

ONE_OF_TWO = {"_type": "choice", "_value": [1, 2]}

CASES = [
    ("TPE", {"optimise_mode": "minimize"}, "optimise_mode", "did you mean 'optimize_mode'?"),
    ("TPE", {"optimize_mode": "max"}, "optimize_mode", "'maximize' or 'minimize', got 'max'"),
    ("TPE", {"parallel_optimize": "yes"}, "parallel_optimize", "true or false"),
    ("TPE", {"constant_liar_type": "median"}, "constant_liar_type", "'min', 'max' or 'mean'"),
    ("TPE", {"algorithm_name": "anneal"}, "algorithm_name", "unknown argument"),
    ("TPE", {"seed": -1}, "seed", "an integer of at least 0"),
    ("TPE", {"seed": True}, "seed", "integer"),
    ("Random", {"constant_liar_type": "min"}, "constant_liar_type", "unknown argument"),
    ("GridSearch", {"seed": 1}, "seed", "takes optimize_mode"),
    ("BatchTuner", {"optimize_mode": None}, "optimize_mode", "got None"),
    ("Medianstop", {"start_step": -1}, "start_step", "at least 0"),
    ("Medianstop", {"start_step": 1.5}, "start_step", "an integer"),
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("TPE", "tuner"),
        ("Random", "tuner"),
        ("GridSearch", "tuner"),
        ("BatchTuner", "tuner"),
        ("Medianstop", "assessor"),
    ],
)
def test_every_listed_algorithm_can_be_built(name, kind):
    algorithm = registry.find(name)
    assert algorithm.kind == kind
    built = registry.create(name, {"optimize_mode": "minimize"}, kind)
    assert type(built).__name__ == algorithm.class_name
    assert type(built).__module__ == algorithm.module_name


def test_the_list_has_nothing_that_cannot_be_built():
    for algorithm in registry.algorithms():
        assert registry.load_class(algorithm.name).__name__ == algorithm.class_name


def test_documented_class_names_are_kept():
    assert registry.find("TPE").class_path == "nni.algorithms.hpo.hyperopt_tuner.HyperoptTuner"
    assert registry.find("Random").class_path == "nni.algorithms.hpo.hyperopt_tuner.HyperoptTuner"


def test_case_does_not_matter():
    assert registry.find("tpe").name == "TPE"
    assert registry.find("gridsearch").name == "GridSearch"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(registry.AlgorithmError, match=r"no tuner named 'GridSerch'; did you mean 'GridSearch'\?"):
        registry.find("GridSerch", "tuner")


def test_a_name_of_another_kind_is_refused():
    with pytest.raises(registry.AlgorithmError, match="'Medianstop' is an assessor, not a tuner; available: Auto, TPE"):
        registry.find("Medianstop", "tuner")


def test_a_config_without_optimize_mode_maximizes_and_the_class_minimizes():
    """X-01: the class default stays, the config layer injects the documented one."""
    assert registry.class_args_for_launch("TPE", None) == {"algorithm_name": "tpe", "optimize_mode": "maximize"}
    assert registry.class_args_for_launch("TPE", {"optimize_mode": "minimize"})["optimize_mode"] == "minimize"
    assert HyperoptTuner("tpe")._sign == 1.0
    assert registry.create("TPE")._sign == -1.0


@pytest.mark.parametrize(("name", "args", "argument", "says"), CASES)
def test_wrong_class_args_are_refused_by_name(name, args, argument, says):
    with pytest.raises(ClassArgsError) as caught:
        registry.validate_class_args(name, args)
    assert str(caught.value).startswith(f"classArgs.{argument}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("args", [[1], "seed", {1: 2}, [], 0])
def test_class_args_that_are_no_named_arguments_are_refused(args):
    with pytest.raises(ClassArgsError, match="object of named arguments"):
        registry.validate_class_args("TPE", args)


def test_right_class_args_are_accepted():
    args = {"optimize_mode": "minimize", "parallel_optimize": True, "constant_liar_type": "mean", "seed": 1e5}
    registry.validate_class_args("TPE", args)
    registry.validate_class_args("Medianstop", {"start_step": 5.0})
    registry.validate_class_args("TPE", {"seed": 10**400})
    registry.validate_class_args("TPE", None)


def test_classes_check_their_arguments_themselves_too():
    with pytest.raises(ClassArgsError, match="constant_liar_type"):
        HyperoptTuner("tpe", constant_liar_type="median")
    with pytest.raises(ClassArgsError, match=r"classArgs\.algorithm_name: expected 'tpe', 'anneal' or 'random_search'"):
        HyperoptTuner("hyperopt_tpe")


def test_a_space_that_an_algorithm_cannot_search_is_told_variable_by_variable():
    space = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "choice", "_value": []}, "z": ONE_OF_TWO}
    assert [fault.path for fault in registry.search_space_faults(space, "GridSearch")] == [
        "searchSpace.x",
        "searchSpace.y._value",
    ]
    assert [fault.path for fault in registry.search_space_faults(space, "TPE")] == ["searchSpace.y._value"]
    assert registry.search_space_faults({"z": ONE_OF_TWO}, "GridSearch") == []
    assert registry.search_space_faults([], "TPE")[0].path == "searchSpace"


@pytest.mark.parametrize("space", [{}, {"z": ONE_OF_TWO}, {"combine_params": {"_type": "randint", "_value": [0, 2]}}])
def test_a_batch_is_one_choice_of_configurations(space):
    (fault,) = registry.search_space_faults(space, "BatchTuner")
    assert "BatchTuner" in fault.problem
    assert registry.search_space_faults({"combine_params": ONE_OF_TWO}, "BatchTuner") == []


def test_an_assessor_has_no_say_in_the_search_space():
    assert registry.search_space_faults({"x": {"_type": "special"}}, "Medianstop") == []


def test_without_a_name_the_documented_form_is_asked_for():
    assert registry.search_space_faults({"x": {"_type": "normal", "_value": [0, 1]}}) == []
    assert [fault.path for fault in registry.search_space_faults({"x": {"_type": "special"}})] == [
        "searchSpace.x._type"
    ]


def test_validation_needs_the_standard_library_only():
    code = (
        "import sys; from nni.algorithms import registry\n"
        "registry.validate_class_args('TPE', {'seed': 1}); registry.search_space_faults({}, 'TPE')\n"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'scipy', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_random_and_grid_do_without_scipy():
    code = (
        "import sys; from nni.algorithms import registry\n"
        "space = {'x': {'_type': 'quniform', '_value': [0, 1, 0.1]}}\n"
        "for name in ('Random', 'GridSearch', 'TPE'):\n"
        "    tuner = registry.create(name); tuner.update_search_space(space); tuner.generate_parameters(0)\n"
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class DemoValidator(ClassArgsValidator):
    """As a user writes it, with a schema of any kind around the helpers."""

    def validate_class_args(self, **kwargs):
        self.choices("mode", "a", "b").validate(kwargs["mode"])
        self.range("rate", float, 0, 1).validate(kwargs.get("rate", 0.5))


def test_helpers_of_users_validators_return_the_value_or_raise():
    DemoValidator().validate_class_args(mode="a", rate=1)
    assert DemoValidator().range("n", int, 0, 9).validate(3.0) == 3
    with pytest.raises(ClassArgsError, match=r"classArgs\.mode: expected 'a' or 'b', got 'c'"):
        DemoValidator().validate_class_args(mode="c")
    with pytest.raises(ClassArgsError, match=r"classArgs\.rate: expected a number between 0 and 1, got 1\.5"):
        DemoValidator().validate_class_args(mode="a", rate=1.5)
    with pytest.raises(ClassArgsError, match=r"classArgs\.n: expected 1 or 2, got True"):
        DemoValidator().choices("n", 1, 2).validate(value=True)


def test_a_required_argument_may_not_be_missing():
    validator = ClassArgsValidator()
    with pytest.raises(ClassArgsError, match=r"classArgs\.mode: this argument must be given"):
        validator.check({}, {"mode": validator.choices("mode", 1)}, required=["mode"])


def test_a_validator_that_checks_nothing_accepts_anything():
    assert ClassArgsValidator().validate_class_args(whatever=1) is None
