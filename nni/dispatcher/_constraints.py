"""From the ``Setup`` message to one condition on configurations."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nni.dispatcher._load import LoadError, function_at
from nni.runtime import FAILURES, AlgorithmError, one_line

Condition = Callable[[Any], bool]


class FunctionConstraint:
    """A condition in a function of the user's.

    Parameters
    ----------
    name
        How the user knows it, for errors.
    function
        Takes a configuration, a copy of its own, and returns whether it is allowed.
    """

    def __init__(self, name: str, function: Callable[[Any], Any]) -> None:
        self._name = name
        self._function = function

    def __call__(self, configuration: Any) -> bool:
        """Tell whether a configuration satisfies the constraint.

        Raises
        ------
        AlgorithmError
            If the function raises, or returns neither True nor False.
        """
        try:
            answer = self._function(_copied(configuration))
        except FAILURES as error:
            raise AlgorithmError(f"constraint {self._name} failed for {configuration!r}: {one_line(error)}") from error
        if type(answer).__module__ == "numpy" and getattr(answer, "ndim", 1) == 0:
            answer = answer.item()
        if not isinstance(answer, bool):
            given = f"{answer!r:.80}"
            raise AlgorithmError(f"constraint {self._name} returned {given} for {configuration!r}: not True or False")
        return answer


def condition(constraints: Sequence[str | dict[str, Any]]) -> Condition:
    """Return what all constraints of an experiment demand together.

    Raises
    ------
    LoadError
        A function cannot be found.
    AlgorithmError
        Its module fails.
    """
    conditions = [_condition(index, each) for index, each in enumerate(constraints)]
    return lambda configuration: all(satisfied(configuration) for satisfied in conditions)


def _condition(index: int, constraint: str | dict[str, Any]) -> Condition:
    if isinstance(constraint, dict):
        where = f"constraints[{index}].function"
        return FunctionConstraint(constraint["function"], function_at(where, constraint))
    if constraint.startswith("<function "):  # how a configuration names a function that was given in Python
        return FunctionConstraint(constraint, _stored(index, constraint))
    from nni.search_space import Constraint  # noqa: PLC0415 - few experiments have constraints

    return Constraint(constraint)


def _stored(index: int, name: str) -> Callable[[Any], Any]:
    """Return a function that the user's process put into the experiment's directory."""
    from nni.trial.function_files import ABOUT, constraint_file, read_about, read_function  # noqa: PLC0415 (as above)

    directory = Path(os.environ.get("NNI_LOG_DIRECTORY") or ".").resolve().parent
    file = directory / constraint_file(index)
    try:
        about = read_about((directory / constraint_file(ABOUT)).parent)
    except (OSError, ValueError) as error:
        raise LoadError(f"constraints[{index}]: {name} is not in {file.parent} ({error})") from None
    sys.path += [entry for entry in about["path"] if entry not in sys.path]
    try:
        return read_function(file)
    except FAILURES as error:
        raise AlgorithmError(f"constraints[{index}]: {name} cannot be loaded: {one_line(error)}") from error


def _copied(value: Any) -> Any:
    """Copy a configuration, as far as a function could change it."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
