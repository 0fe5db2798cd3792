"""Of Hyperband."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.advisor import AdvisorValidator


class HyperbandValidator(AdvisorValidator):
    """``R``, ``eta``, ``optimize_mode``, ``exec_mode`` (HPO-320 … HPO-323) and ``seed``."""

    algorithm = "Hyperband"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Hyperband."""
        own = {
            "R": self.range("R", int, 1, math.inf),
            "eta": self.range("eta", int, 2, math.inf),
            "exec_mode": self.choices("exec_mode", "serial", "parallelism"),
        }
        self.check(kwargs, {**own, **self.optimize_mode(), **self.seed()})
