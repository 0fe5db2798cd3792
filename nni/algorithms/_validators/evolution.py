"""Of Evolution."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator


class EvolutionValidator(TunerValidator):
    """``optimize_mode``, ``population_size`` (HPO-220, HPO-221) and ``seed``."""

    algorithm = "Evolution"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Evolution."""
        size = {"population_size": self.range("population_size", int, 1, math.inf)}
        self.check(kwargs, {**self.optimize_mode(), **size, **self.seed()})
