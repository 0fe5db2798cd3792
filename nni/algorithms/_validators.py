"""What class arguments and search spaces the built-in algorithms take.

Standard library only: ``nnictl`` runs these before anything starts, and the algorithms themselves once more.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nni.algorithms._class_args import Check, ClassArgsValidator
from nni.search_space import TYPES, Choice, SearchSpace, SearchSpaceError, require


class BuiltinValidator(ClassArgsValidator):
    """The checks that several built-in algorithms share."""

    def optimize_mode(self) -> dict[str, Check]:
        """Return the check of ``optimize_mode``."""
        return {"optimize_mode": self.choices("optimize_mode", "maximize", "minimize")}

    def seed(self) -> dict[str, Check]:
        """Return the check of ``seed``."""
        return {"seed": self.range("seed", int, 0, math.inf)}


class TunerValidator(BuiltinValidator):
    """Of a tuner; says what search spaces it takes as well (HPO-070 … HPO-086).

    Attributes
    ----------
    algorithm
        Its name, for error texts.
    types
        The ``_type`` names that it takes.
    """

    algorithm: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = TYPES

    def validate_search_space(self, space: SearchSpace) -> None:
        """Raise a :class:`~nni.search_space.SearchSpaceError` if the tuner cannot search a space."""
        require(space, self.types, self.algorithm)


class TpeValidator(TunerValidator):
    """``optimize_mode``, ``parallel_optimize``, ``constant_liar_type`` (HPO-201 … HPO-203) and ``seed``."""

    algorithm = "TPE"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of TPE."""
        liar = {
            "parallel_optimize": self.boolean("parallel_optimize"),
            "constant_liar_type": self.choices("constant_liar_type", "min", "max", "mean"),
        }
        self.check(kwargs, {**self.optimize_mode(), **liar, **self.seed()})


class RandomValidator(TunerValidator):
    """``optimize_mode`` and ``seed``."""

    algorithm = "Random"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Random."""
        self.check(kwargs, {**self.optimize_mode(), **self.seed()})


class EnumerationValidator(TunerValidator):
    """``optimize_mode`` only, for the tuners that go through a list (X-35)."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of GridSearch and BatchTuner."""
        self.check(kwargs, self.optimize_mode())


class GridSearchValidator(EnumerationValidator):
    """Of GridSearch: a grid has finitely many points (HPO-250)."""

    algorithm = "GridSearch"
    types = ("choice", "quniform", "randint")


class BatchValidator(EnumerationValidator):
    """Of BatchTuner: the search space is a list of configurations (HPO-240)."""

    algorithm = "BatchTuner"
    key = "combine_params"

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse anything but the one choice of configurations."""
        form = f'{{"{self.key}": {{"_type": "choice", "_value": [{{...}}, {{...}}]}}}}'
        for parameter in space.values():
            if parameter.name != self.key or not isinstance(parameter, Choice):
                problem = f"BatchTuner does not support variable {parameter.name!r} of type {parameter.type}"
                raise SearchSpaceError(parameter.path, f"{problem}; it takes only {form}")
        if not space:
            raise SearchSpaceError(space.path, f"BatchTuner takes only {form}")


class MedianstopValidator(BuiltinValidator):
    """``optimize_mode`` and ``start_step`` (HPO-362)."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Medianstop."""
        self.check(kwargs, {**self.optimize_mode(), "start_step": self.range("start_step", int, 0, math.inf)})
