"""Of CMAES."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator


class CmaesValidator(TunerValidator):
    """``optimize_mode``, ``population_size``, ``sigma``, ``restarts`` and ``seed``."""

    algorithm = "CMAES"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of CMAES."""
        own = {
            "population_size": self.range("population_size", int, 2, math.inf),
            "sigma": self.range("sigma", float, 1e-6, 1.0),
            "restarts": self.choices("restarts", "ipop", "same", "none"),
        }
        self.check(kwargs, {**self.optimize_mode(), **own, **self.seed()})
