"""What must be right around a configuration before an experiment starts."""

from __future__ import annotations

import sys

import pytest

from nni.config import (
    ConfigError,
    ExperimentConfig,
    load_search_space,
    validate,
)

SPACE = '{"x": {"_type": "uniform", "_value": [0, 1]}}'


@pytest.fixture
def refused(loaded):
    """Load YAML text and return what keeps the experiment from starting, as `key path: message`."""

    def refuse(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            validate(loaded(text))
        return [str(fault).split(": ", 1)[1] for fault in caught.value.faults]

    return refuse


def test_a_right_configuration_may_start(loaded):
    validate(loaded("assessor: {name: Medianstop, classArgs: {start_step: 5}}"))


@pytest.mark.parametrize("name", ["TPE", "Evolution"])
def test_what_would_maximize_is_told_to_minimize_too(refused, loaded, name):
    text = f"optimizeMode: minimize\ntuner: {{name: {name}}}"
    assert refused(text) == ["tuner.classArgs.optimize_mode: must be 'minimize' as well, like optimizeMode"]
    validate(loaded(text.replace("}", ", classArgs: {optimize_mode: minimize}}")))


def test_what_looks_for_nothing_needs_not_be_told(loaded):
    space = "searchSpace: {x: {_type: choice, _value: [1, 2]}}"
    validate(loaded(f"optimizeMode: minimize\n{space}\ntuner: {{name: GridSearch}}"))


def test_the_trial_code_and_working_directories_are_looked_at(refused, directory):
    (directory / "file").touch()
    assert refused("trialCodeDirectory: nowhere\nexperimentWorkingDirectory: file") == [
        f"trialCodeDirectory: no such directory: '{directory}/nowhere'",
        f"experimentWorkingDirectory: is not a directory: '{directory}/file'",
    ]


def test_a_search_space_is_needed(refused):
    assert refused("searchSpace: null") == [
        "searchSpace: required, unless there is searchSpaceFile or useAnnotation: true"
    ]


def test_annotation_needs_no_search_space(loaded, directory):
    (directory / "trial.py").write_text("'''@nni.variable(nni.choice(1, 2), name=x)'''\nx = 1\n")
    config = loaded("searchSpace: null\nuseAnnotation: true")
    validate(config)
    assert load_search_space(config) == {"x": {"_type": "choice", "_value": [1, 2]}}


def test_annotation_needs_annotated_code(refused):
    [fault] = refused("searchSpace: null\nuseAnnotation: true")
    assert "useAnnotation: " in fault
    assert "nothing is annotated as to be tuned" in fault


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("space.json", SPACE),
        ("space.txt", SPACE),
        ("space.yml", "x: {_type: uniform, _value: [0, 1]}"),
        ("s.yaml", SPACE),
    ],
)
def test_a_search_space_file_is_json_or_yaml(loaded, directory, name, text):
    (directory / name).write_text(text)
    config = loaded(f"searchSpace: null\nsearchSpaceFile: {name}")
    validate(config)
    assert load_search_space(config) == {"x": {"_type": "uniform", "_value": [0, 1]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "space.json: cannot be read: No such file or directory"),
        ('{\n"x": 1,,}', "space.json:2:8: not valid JSON: expected property name"),
        ('{\n  "x" 1}', "space.json:2:7: not valid JSON: expected ':' delimiter"),
        ("", "space.json:1:1: not valid JSON: expected a value"),
        ("\udcff", "space.json: is not UTF-8 text"),
        ('{"x": {"_type": "unifrom", "_value": [0, 1]}}', "space.json: x._type: unknown type"),
        ("[" * 100_000, "space.json: is nested too deeply"),
    ],
)
def test_a_fault_in_a_search_space_file_is_named_with_its_place(refused, directory, text, message):
    if text is not None:
        (directory / "space.json").write_text(text, errors="surrogateescape")
    (fault,) = refused("searchSpace: null\nsearchSpaceFile: space.json")
    assert fault.startswith(f"searchSpaceFile: {directory}/{message}")


def test_a_fault_in_an_inline_search_space_is_named_with_its_line(loaded, directory):
    config = loaded(
        """
        searchSpace:
          x:
            _type: uniform
            _value: [1, 0]
        """
    )
    with pytest.raises(ConfigError) as caught:
        config.validate()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{directory}/config.yml:9: searchSpace.x._value")


def test_without_tuner_and_advisor_the_search_space_is_checked_for_the_default(refused):
    (fault,) = refused("tuner: null\nsearchSpace: {x: {_type: exotic, _value: [0, 1]}}")
    assert fault.startswith("searchSpace.x._type: ")


def test_an_unknown_algorithm_is_refused_with_the_nearest(refused):
    (fault,) = refused("tuner: {name: TPF}")
    assert fault.startswith("tuner.name: ")
    assert "'TPE'" in fault
    (fault,) = refused("assessor: {name: TPE}")
    assert fault.startswith("assessor.name: 'TPE' is a tuner, not an assessor")


def test_wrong_class_arguments_are_refused_with_their_path(refused):
    (fault,) = refused("tuner: {name: TPE, classArgs: {optimize_mode: maximise}}")
    assert fault == "tuner.classArgs.optimize_mode: expected 'maximize' or 'minimize', got 'maximise'"
    (fault,) = refused("assessor: {name: Medianstop, classArgs: {start_stop: 5}}")
    assert fault.startswith("assessor.classArgs.start_stop: unknown argument; did you mean 'start_step'?")


def test_all_faults_are_reported_together(refused):
    found = refused("searchSpace: {x: 1}\ntrialCodeDirectory: nowhere\nassessor: {name: x}\ntuner: {className: a.B}")
    assert {fault.partition(":")[0] for fault in found} == {"trialCodeDirectory", "assessor.name", "tuner.className"}


TUNER = "class MyTuner:\n    raise RuntimeError('the launcher must not run this')\n"


def test_a_custom_class_is_found_without_running_it(loaded, directory):
    (directory / "my_tuner.py").write_text(TUNER)
    validate(loaded("tuner: {className: my_tuner.MyTuner, codeDirectory: .}"))
    assert "my_tuner" not in sys.modules


def test_a_custom_class_may_lie_in_a_package(loaded, directory):
    (directory / "algorithms" / "tuners").mkdir(parents=True)
    (directory / "algorithms" / "tuners" / "mine.py").write_text(TUNER)
    (directory / "algorithms" / "__init__.py").write_text("from .tuners.mine import MyTuner as Best\n")
    validate(loaded("tuner: {className: algorithms.tuners.mine.MyTuner, codeDirectory: .}"))
    validate(loaded("tuner: {className: algorithms.Best, codeDirectory: .}"))


def test_a_custom_class_may_be_installed(loaded):
    validate(loaded("tuner: {className: nni.tuner.Tuner}"))


@pytest.mark.parametrize(
    ("tuner", "message"),
    [
        ("className: my_tuner.MyTuner, codeDirectory: no", "tuner.codeDirectory: no such directory: "),
        ("className: my_tunr.MyTuner, codeDirectory: .", "tuner.className: no my_tunr.py in "),
        ("className: my_tunr.MyTuner, codeDirectory: .", "did you mean 'my_tuner.py'?"),
        ("className: my_tuner.MyTunr, codeDirectory: .", "my_tuner.py has no class 'MyTunr', did you mean 'MyTuner'?"),
        ("className: broken.MyTuner, codeDirectory: .", "broken.py:2: "),
        ("className: my_tuner.MyTuner", "tuner.className: no module 'my_tuner' is installed; codeDirectory says"),
    ],
)
def test_a_custom_class_that_is_not_there(refused, directory, tuner, message):
    (directory / "my_tuner.py").write_text(TUNER)
    (directory / "broken.py").write_text("x = 1\nclass MyTuner(:\n")
    (fault,) = refused(f"tuner: {{{tuner}}}")
    assert message in fault


def test_a_class_that_only_appears_when_the_module_runs_is_not_refused(loaded, directory):
    (directory / "dynamic.py").write_text("from elsewhere import *\n")
    validate(loaded("tuner: {className: dynamic.MyTuner, codeDirectory: .}"))


def test_the_search_space_of_a_custom_tuner_is_its_own_affair(loaded, directory):
    (directory / "my_tuner.py").write_text(TUNER)
    validate(loaded("searchSpace: {x: [1, 2, {y: special}]}\ntuner: {className: my_tuner.MyTuner, codeDirectory: .}"))


RULES = "raise RuntimeError('the launcher must not run this')\ndef fits(config):\n    return True\n"


def test_a_constraint_may_be_a_function_which_is_found_without_running_it(loaded, directory):
    (directory / "rules.py").write_text(RULES)
    config = loaded("constraints: [x < 0.5, {function: rules.fits, codeDirectory: .}, {function: rules.fits}]")
    validate(config)
    named = {"function": "rules.fits", "codeDirectory": str(directory)}
    assert config.canonical()["constraints"] == ["x < 0.5", named, named]
    assert ExperimentConfig.from_dict(config.canonical()) == config
    assert "rules" not in sys.modules


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("{function: rules.fits, codeDirectory: no}", "constraints[0].codeDirectory: no such directory: "),
        ("{function: rules.fts}", "rules.py has no function 'fts', did you mean 'fits'?"),
        ("{function: rulse.fits}", "constraints[0].function: no rulse.py in "),
        ("<function fits>", "constraints[0]: '<function fits>' stands for a Python function"),
        ("y < 1", "constraints[0]: the search space has no variable 'y'; there are x"),
    ],
)
def test_a_constraint_that_cannot_be_used_is_named(refused, directory, constraint, message):
    (directory / "rules.py").write_text(RULES)
    (fault,) = refused(f"constraints: [{constraint}]")
    assert message in fault


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("{function: fits}", "constraints[0].function: expected module.function, such as"),
        ("{funktion: rules.fits}", "constraints[0].funktion: unknown key, did you mean 'function'?"),
        ("{codeDirectory: .}", "constraints[0].function: required, such as 'rules.fits_in_memory'"),
        ("7", "constraints[0]: expected an expression, or a mapping with the key function, got 7"),
    ],
)
def test_a_constraint_of_no_known_form_is_refused(loaded, constraint, message):
    with pytest.raises(ConfigError) as caught:
        loaded(f"constraints: [{constraint}]")
    assert message in str(caught.value)


def test_a_function_as_constraint_takes_the_configuration_alone(loaded):
    config = loaded("")
    config.constraints = [lambda c: c["x"] < 1, lambda a, b: a]
    assert config.canonical()["constraints"][0].startswith("<function lambda (")
    with pytest.raises(
        ConfigError, match=r"constraints\[1\]: <function lambda .*>: it is called with the configuration"
    ):
        validate(config)


def test_files_that_a_service_names_are_looked_at(refused, loaded, directory):
    machine = "{platform: remote, machineList: [{host: a, user: b, sshKeyFile: key}]}"
    assert refused(f"trainingService: {machine}") == [
        f"trainingService.machineList[0].sshKeyFile: no such file: '{directory}/key'"
    ]
    validate(loaded(f"trainingService: {machine.replace('user: b', 'user: b, password: c')}"))
