"""Whether an experiment can be started with a configuration: files, search space, algorithms, platform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nni.annotation import AnnotationError, read_directory
from nni.common.default_tuner import DEFAULT_TUNER
from nni.config import _catalogue
from nni.config._constraint import ConstraintFunctionConfig
from nni.config._custom_class import custom_class_faults, function_faults
from nni.config._errors import ConfigError, Fault, PlatformNotAvailableError
from nni.config._function import FunctionCommand, call_problem, is_function
from nni.config._load import read_document, read_text
from nni.config._model import ConfigModel
from nni.config._rules import services
from nni.config._training_service import is_available

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nni.annotation import AnnotatedDirectory
    from nni.config._algorithm import _AlgorithmConfig
    from nni.config._errors import KeyPath
    from nni.config._experiment import ExperimentConfig

_ALGORITHMS: tuple[_catalogue.Kind, ...] = ("tuner", "assessor", "advisor")


def validate(config: ExperimentConfig) -> None:
    """
    Check that an experiment can be started with a configuration; same as ``config.validate()``.

    Raises
    ------
    ConfigError
        With everything that is wrong.
    """
    config.validate()


def check_available(config: ExperimentConfig) -> None:
    """
    Check that this version can run what is configured.

    Raises
    ------
    PlatformNotAvailableError
        In one sentence for each thing that it cannot do yet.
    """
    missing = [
        Fault((*path, "platform"), f"the training service {service.platform!r} is not available in this version")
        for path, service in services(config)
        if not is_available(service.platform)
    ]
    if missing:
        raise PlatformNotAvailableError(config._spelled(missing))  # noqa: SLF001  # of the same package


def load_search_space(config: ExperimentConfig) -> Any:
    """
    Return the search space of a configuration: inline, from its JSON or YAML file, or from annotated trial code.

    Returns
    -------
    Any
        As it is written; None if there is none.

    Raises
    ------
    ConfigError
        If the file cannot be read, or an annotation cannot be understood, with line and column.
    """
    if config.search_space is not None:
        return config.search_space
    if config.use_annotation:
        return _annotated(config).search_space
    return None if config.search_space_file is None else _space_in(config.search_space_file)


def start_faults(config: ExperimentConfig) -> Iterator[Fault]:
    """Yield everything in the surroundings that keeps an experiment from starting."""
    yield from _function(config)
    yield from _directories(config)
    yield from _search_space(config)
    yield from _constraints(config)
    yield from _algorithms(config)
    for path, service in services(config):
        yield from _files(service, path)


def _function(config: ExperimentConfig) -> Iterator[Fault]:
    command = config.trial_command
    if command is not None and is_function(command) and not isinstance(command, FunctionCommand):
        yield Fault(
            ("trialCommand",),
            f"{command!r} stands for a Python function, which only its own program can start: with nni.tune, "
            "or as Experiment.config.trial_command",
        )


def _directories(config: ExperimentConfig) -> Iterator[Fault]:
    code, work = config.trial_code_directory, config.experiment_working_directory
    if not code.is_dir():
        yield Fault(("trialCodeDirectory",), f"no such directory: '{code}'")
    if work.exists() and not work.is_dir():
        yield Fault(("experimentWorkingDirectory",), f"is not a directory: '{work}'")


def _search_space(config: ExperimentConfig) -> Iterator[Fault]:
    if _has_space_of_its_own(config):
        return
    if config.use_annotation:
        yield from _annotation_faults(config)
        return
    if config.search_space is None and config.search_space_file is None:
        if [_catalogue.needs_search_space(kind, one.name) for kind, one in _searching(config)] == [False]:
            return
        yield Fault(("searchSpace",), "required, unless there is searchSpaceFile or useAnnotation: true")
        return
    try:
        space = load_search_space(config)
    except ConfigError as error:
        yield from (Fault(("searchSpaceFile",), str(fault)) for fault in error.faults)
        return
    for fault in _space_faults(config, space):
        if config.search_space is not None:
            yield Fault(("searchSpace", *fault.path), fault.message)
        else:
            yield Fault(("searchSpaceFile",), str(Fault(fault.path, fault.message, str(config.search_space_file))))


def _has_space_of_its_own(config: ExperimentConfig) -> bool:
    """Say whether an algorithm ignores the search space for one in a file (HPO-350)."""
    return any(kind == "advisor" and (each.class_args or {}).get("config_space") for kind, each in _chosen(config))


def _annotation_faults(config: ExperimentConfig) -> Iterator[Fault]:
    """Yield what is wrong with annotations, and where in the code that is (HPO-453)."""
    given = (config.search_space, config.search_space_file)
    if any(one is not None for one in given) or not config.trial_code_directory.is_dir():
        return  # it has been said already
    try:
        annotated = _annotated(config)
    except ConfigError as error:
        yield from error.faults
        return
    for key, entry in annotated.search_space.items():
        for fault in _space_faults(config, {key: entry}):
            yield Fault(("useAnnotation",), f"{annotated.places[key]}: {key}: {fault.message}")


def _annotated(config: ExperimentConfig) -> AnnotatedDirectory:
    try:
        return read_directory(config.trial_code_directory)
    except AnnotationError as error:
        faults = [Fault(("useAnnotation",), str(problem)) for problem in error.problems]
        raise ConfigError(faults) from None


def _space_faults(config: ExperimentConfig, space: Any) -> Iterator[Fault]:
    """Yield what is wrong with a search space; what a custom algorithm takes is its own affair (HPO-057)."""
    searching = _searching(config)
    if not searching:
        yield from _catalogue.search_space_faults(space, DEFAULT_TUNER, "tuner")
    for kind, algorithm in searching:
        if _catalogue.is_built_in(kind, algorithm):
            yield from _catalogue.search_space_faults(space, algorithm.name, kind)


def _constraints(config: ExperimentConfig) -> Iterator[Fault]:
    if not config.constraints:
        return
    if config.advisor is not None and config.advisor.is_configured:
        yield Fault(("constraints",), "must not be given with an advisor, which makes its trials itself; use a tuner")
    try:
        space = load_search_space(config)
    except ConfigError:  # told already
        return
    for index, constraint in enumerate(config.constraints):
        for fault in _constraint_faults(constraint, space):
            yield Fault(("constraints", index, *fault.path), fault.message)


def _constraint_faults(constraint: Any, space: Any) -> Iterator[Fault]:
    if isinstance(constraint, ConstraintFunctionConfig):
        yield from function_faults(str(constraint.function), constraint.code_directory)
    elif isinstance(constraint, FunctionCommand):
        if problem := call_problem(constraint.function):
            yield Fault((), f"{constraint}: {problem}")
    elif is_function(constraint):
        yield Fault(
            (),
            f"{constraint!r} stands for a Python function, which only its own program can give; "
            "write function: module.function, and codeDirectory",
        )
    elif problem := _catalogue.constraint_problem(constraint, space):
        yield Fault((), problem)


def _space_in(file: Path) -> Any:
    if file.suffix.lower() in {".yml", ".yaml"}:
        return read_document(file).value
    text = read_text(file, file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise ConfigError(Fault((), f"not valid JSON: {_json_problem(error.msg)}", place)) from None
    except RecursionError:
        raise ConfigError(Fault((), "is nested too deeply", str(file))) from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise ConfigError(Fault((), f"cannot be read: {error}", str(file))) from None


def _json_problem(problem: str) -> str:
    return problem.replace("Expecting", "expected", 1).replace("expected value", "expected a value", 1)


def _algorithms(config: ExperimentConfig) -> Iterator[Fault]:
    chosen = _chosen(config)
    for kind, algorithm in chosen:
        by_name = algorithm.name is not None
        found = _catalogue.registered_faults(kind, algorithm) if by_name else custom_class_faults(algorithm)
        yield from (Fault((kind, *fault.path), fault.message) for fault in found)
        if config.optimize_mode == "minimize" and _catalogue.maximizes(kind, algorithm):
            yield Fault((kind, "classArgs", "optimize_mode"), "must be 'minimize' as well, like optimizeMode")


def _chosen(config: ExperimentConfig) -> list[tuple[_catalogue.Kind, _AlgorithmConfig]]:
    all_kinds = [(kind, getattr(config, kind)) for kind in _ALGORITHMS]
    return [(kind, algorithm) for kind, algorithm in all_kinds if algorithm is not None and algorithm.is_configured]


def _searching(config: ExperimentConfig) -> list[tuple[_catalogue.Kind, _AlgorithmConfig]]:
    return [(kind, algorithm) for kind, algorithm in _chosen(config) if kind != "assessor"]


def _files(section: ConfigModel, path: KeyPath) -> Iterator[Fault]:
    """Yield files that a training service names and that are not there."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        here: KeyPath = (*path, field.alias or name)
        if name in {"openpai_config_file", "config_path", "private_registry_auth_path", "ssh_key_file"}:
            is_used = not (name == "ssh_key_file" and getattr(section, "password", None))  # PLT-345
            if value is not None and is_used and not value.is_file():
                yield Fault(here, f"no such file: '{value}'")
        for inner, item in _sections(value):
            yield from _files(item, (*here, *inner))


def _sections(value: Any) -> list[tuple[KeyPath, ConfigModel]]:
    if isinstance(value, ConfigModel):
        return [((), value)]
    items = enumerate(value) if isinstance(value, list) else ()
    return [((index,), item) for index, item in items if isinstance(item, ConfigModel)]
