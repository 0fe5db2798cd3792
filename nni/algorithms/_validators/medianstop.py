"""Of the assessor Medianstop."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import BuiltinValidator


class MedianstopValidator(BuiltinValidator):
    """``optimize_mode`` and ``start_step`` (HPO-362)."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Medianstop."""
        self.check(kwargs, {**self.optimize_mode(), "start_step": self.range("start_step", int, 0, math.inf)})
