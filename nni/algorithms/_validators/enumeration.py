"""Of the tuners that go through a list: GridSearch and BatchTuner."""

from __future__ import annotations

from typing import Any

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import Choice, SearchSpace, SearchSpaceError


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
