"""Tune a plain Python function: ``nni.tune``."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nni.common.default_tuner import DEFAULT_TUNER
from nni.common.errors import NniError
from nni.config import AlgorithmConfig, CustomAlgorithmConfig, ExperimentConfig, call_problem
from nni.experiment._port import is_free
from nni.experiment.experiment import Experiment
from nni.experiment.tune_result import TuneResult

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["tune"]

OptimizeMode: TypeAlias = Literal["maximize", "minimize"]
Algorithm: TypeAlias = "str | AlgorithmConfig | CustomAlgorithmConfig"
Duration: TypeAlias = "str | float | timedelta"

_FIRST_PORT, _PORTS = 8080, 2000
_ENDS_BY_ITSELF = {"gridsearch", "batchtuner"}


def tune(
    function: Callable[[dict[str, Any]], Any],
    search_space: Mapping[str, Any],
    *,
    optimize_mode: OptimizeMode = "maximize",
    tuner: Algorithm = DEFAULT_TUNER,
    assessor: Algorithm | None = None,
    constraints: Sequence[str | Callable[[dict[str, Any]], bool]] = (),
    max_trials: int | None = None,
    max_duration: Duration | None = None,
    max_trial_duration: Duration | None = None,
    concurrency: int = 1,
    seed: int | None = None,
    name: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    port: int | None = None,
) -> TuneResult:
    """Search for the configuration with which a function does best.

    The function is called in worker processes, each call is a trial of an experiment like any other: everything that
    it reports is on the disk at once, ``nnictl`` and the page show it while it runs, and ``nnictl resume`` goes on
    with it. Ctrl-C stops the experiment cleanly and returns what was found so far.

    Parameters
    ----------
    function
        Gets a configuration, a dict with a value for each name of the search space, and returns its score: a number,
        or a dict with a number under ``default``. It may call ``nni.report_intermediate_result`` and the rest of the
        trial API. Lambdas, closures and functions of a script or notebook work; no ``__main__`` guard is needed.
    search_space
        As in a config: ``{"lr": {"_type": "loguniform", "_value": [1e-4, 0.1]}}``.
    optimize_mode
        ``"maximize"`` or ``"minimize"`` the score. Default ``"maximize"``.
    tuner
        Name of a tuner, or an ``AlgorithmConfig`` / ``CustomAlgorithmConfig``. Default ``"Auto"``.
    assessor
        The same for what stops bad trials early. Default: none.
    constraints
        What every configuration must satisfy: expressions over the names of variables (``"batch * width <= 4096"``),
        or functions that take a configuration and return True or False. Default: nothing.
    max_trials
        How many trials to run. Either this or `max_duration` is needed, unless the tuner ends by itself (GridSearch,
        BatchTuner).
    max_duration
        When to start no further trial: seconds, ``"90m"`` (units s, m, h, d), or a ``timedelta``.
    max_trial_duration
        When to stop a trial, in the same forms. Default: never.
    concurrency
        How many trials run at the same time, each in a process of its own. Default 1.
    seed
        Seed of the tuner: with `concurrency` 1 it then suggests the same for the same scores. The function's own
        randomness is its own affair. Default: another one each time.
    name
        Name of the experiment. Default: that of the function.
    directory
        Where the experiment gets its directory. Default ``~/nni-experiments``.
    port
        Port of page and REST API, on loopback. Default: a free one from 8080 on.

    Returns
    -------
    TuneResult
        Also if it was interrupted, or stopped from elsewhere: see its ``status``.

    Raises
    ------
    NniError
        Something in the arguments is wrong; the function cannot be sent to a process or loaded there; or the
        experiment fails before any trial succeeded.

    Examples
    --------
    >>> import nni
    >>> space = {"x": {"_type": "uniform", "_value": [-10, 10]}}
    >>> best = nni.tune(lambda config: (config["x"] - 2) ** 2, space, optimize_mode="minimize", max_trials=50)
    ... # doctest: +SKIP
    >>> best.best_config  # doctest: +SKIP
    {'x': 2.0071}
    """
    _check_function(function)
    experiment = Experiment("local")
    config = experiment.config
    config.trial_command = function
    config.experiment_name = name or getattr(function, "__name__", None) or type(function).__name__
    config.search_space = dict(search_space)
    config.constraints = constraints or None  # type: ignore[assignment]  # converted on assignment
    config.trial_concurrency = concurrency
    config.max_trial_number = max_trials
    config.max_experiment_duration = _duration(max_duration)
    config.max_trial_duration = _duration(max_trial_duration)
    if directory is not None:
        config.experiment_working_directory = directory  # type: ignore[assignment]  # converted on assignment
    _set_algorithms(config, tuner, assessor, optimize_mode, seed)
    _check_limits(config)
    status, errors = _run(experiment, _free_port() if port is None else port)
    result = TuneResult.load(str(experiment.id), status=status, optimize_mode=optimize_mode)
    if status == "ERROR" and not any(trial.score is not None for trial in result.history):
        raise NniError(f"experiment {experiment.id} failed: {'; '.join(errors)}; logs: {result.directory / 'log'}")
    return result


def _run(experiment: Experiment, port: int) -> tuple[str, list[str]]:
    try:
        experiment.start(port)
    except KeyboardInterrupt:
        if experiment.id is None:  # it did not come into being
            raise
        experiment.stop()
        return "INTERRUPTED", []
    return experiment.wait_and_stop()


def _check_function(function: Any) -> None:
    if not callable(function):
        raise NniError(f"function: expected something to call with a configuration, got {function!r:.80}")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise NniError("function: expected one that returns its score; an async function or a generator does not")
    if problem := call_problem(function):
        raise NniError(f"function: {problem}")


def _set_algorithms(
    config: ExperimentConfig, tuner: Algorithm, assessor: Algorithm | None, mode: OptimizeMode, seed: int | None
) -> None:
    if mode not in {"maximize", "minimize"}:
        raise NniError(f"optimize_mode: expected 'maximize' or 'minimize', got {mode!r}")
    config.optimize_mode = mode
    config.tuner = _as_algorithm("tuner", tuner)
    _add_argument(config.tuner, "tuner", "optimize_mode", mode, must=False)
    if seed is not None:
        _add_argument(config.tuner, "tuner", "seed", seed, must=True)
    if assessor is not None:
        config.assessor = _as_algorithm("assessor", assessor)
        _add_argument(config.assessor, "assessor", "optimize_mode", mode, must=False)


def _as_algorithm(kind: str, given: Algorithm) -> AlgorithmConfig | CustomAlgorithmConfig:
    if isinstance(given, str):
        return AlgorithmConfig(name=given)
    if isinstance(given, (AlgorithmConfig, CustomAlgorithmConfig)):
        return given.model_copy(update={"class_args": dict(given.class_args)})
    raise NniError(f"{kind}: expected a name such as 'TPE', an AlgorithmConfig or a CustomAlgorithmConfig")


def _add_argument(algorithm: Any, kind: Literal["tuner", "assessor"], name: str, value: Any, *, must: bool) -> None:
    """Hand an argument of `tune` to an algorithm; one that does not know it does without, unless it `must`."""
    given = algorithm.class_args
    if name in given:
        if given[name] != value:
            raise NniError(f"{name}: {value!r} contradicts {kind}.class_args, which says {given[name]!r}")
        return
    if _takes(algorithm, kind, name, value):
        given[name] = value
    elif must:
        raise NniError(f"{name}: the {kind} {algorithm.name or algorithm.class_name} has no argument of that name")


def _takes(algorithm: Any, kind: Literal["tuner", "assessor"], name: str, value: Any) -> bool:
    """Tell whether a built-in or registered algorithm has an argument; a class of the user's own is not asked."""
    if algorithm.name is None:
        return False
    from nni.algorithms import ClassArgsError, registry  # noqa: PLC0415 - only for a start

    try:
        registry.validate_class_args(algorithm.name, {**algorithm.class_args, name: value}, kind)
    except ClassArgsError as error:
        unknown = error.problem.startswith(("unknown argument", "this algorithm takes none"))
        return error.argument != name or not unknown
    except Exception:  # noqa: BLE001 - a validator of a user's may raise anything; the start says it again
        return True
    return True


def _check_limits(config: ExperimentConfig) -> None:
    endless = config.max_trial_number is None and config.max_experiment_duration is None
    if endless and str(config.tuner and config.tuner.name).lower() not in _ENDS_BY_ITSELF:
        raise NniError("max_trials or max_duration is required; without either the search would never end")


def _duration(given: Duration | None) -> str | None:
    if isinstance(given, timedelta):
        given = given.total_seconds()
    return given if given is None or isinstance(given, str) else f"{given:f}s"


def _free_port() -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        if is_free(port):
            return port
    raise NniError(f"port: none of {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free; give another one")
