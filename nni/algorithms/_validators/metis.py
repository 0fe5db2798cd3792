"""Of the tuner MetisTuner."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, require


class MetisValidator(TunerValidator):
    """The arguments of Metis (HPO-260 … HPO-265) and ``seed``; numbers only, as distances need (HPO-078, HPO-085)."""

    algorithm = "MetisTuner"
    types = ("choice", "randint", "uniform", "quniform")

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Metis."""
        checks = {
            "no_resampling": self.boolean("no_resampling"),
            "no_candidates": self.boolean("no_candidates"),
            "selection_num_starting_points": self.range("selection_num_starting_points", int, 1, math.inf),
            "cold_start_num": self.range("cold_start_num", int, 1, math.inf),
            "exploration_probability": self.range("exploration_probability", float, 0, 1),
        }
        self.check(kwargs, {**self.optimize_mode(), **checks, **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse types that Metis does not take, branches, and choices among anything but numbers."""
        require(space, self.types, self.algorithm, nested=False, numeric_choice_only=True)
