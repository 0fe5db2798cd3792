"""Of GPTuner."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import Choice, SearchSpace, SearchSpaceError


class GpValidator(TunerValidator):
    """The class arguments of HPO-270 … HPO-277 and ``seed``; numbers only, and nested choices (HPO-079, HPO-085)."""

    algorithm = "GPTuner"
    types = ("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform")

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of GPTuner."""
        own = {
            "utility": self.choices("utility", "ei", "ucb", "poi"),
            "kappa": self.range("kappa", float, 0, math.inf),
            "xi": self.range("xi", float, 0, math.inf),
            "nu": self.range("nu", float, 0.01, math.inf),
            "alpha": self.range("alpha", float, 1e-12, math.inf),
            "cold_start_num": self.range("cold_start_num", int, 1, math.inf),
            "selection_num_warm_up": self.range("selection_num_warm_up", int, 1, math.inf),
            "selection_num_starting_points": self.range("selection_num_starting_points", int, 0, math.inf),
        }
        self.check(kwargs, {**self.optimize_mode(), **own, **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse normal priors, and choices that are neither nested nor among numbers."""
        super().validate_search_space(space)
        for parameter in space.walk():
            if not isinstance(parameter, Choice) or parameter.is_numeric:
                continue
            if len(parameter.branches) < parameter.size:
                raise SearchSpaceError(
                    parameter.path,
                    f"{self.algorithm} supports variables of type choice only among numbers, or nested; "
                    "Auto and TPE take any",
                )
