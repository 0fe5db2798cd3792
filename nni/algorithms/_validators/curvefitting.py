"""Of the assessor Curvefitting."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import BuiltinValidator


class CurvefittingValidator(BuiltinValidator):
    """``epoch_num``, ``start_step``, ``threshold``, ``gap`` (HPO-370 … HPO-373), and ``optimize_mode``."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Curvefitting; a config has to name ``epoch_num``."""
        checks = {
            "epoch_num": self.range("epoch_num", int, 1, math.inf),
            "start_step": self.range("start_step", int, 0, math.inf),
            "threshold": self.range("threshold", float, 0, math.inf),
            "gap": self.range("gap", int, 1, math.inf),
        }
        self.check(kwargs, {**checks, **self.optimize_mode()}, required=["epoch_num"])
