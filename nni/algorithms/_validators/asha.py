"""Of the advisor ASHA and the assessor ASHAAssessor."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._class_args import ClassArgsError
from nni.algorithms._validators.advisor import AdvisorValidator
from nni.algorithms._validators.base import BuiltinValidator


class AshaValidator(AdvisorValidator):
    """``optimize_mode``, ``min_budget``, ``max_budget``, ``eta`` and ``seed``."""

    algorithm = "ASHA"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of ASHA."""
        names = {"min_budget": 1, "max_budget": 1, "eta": 2}
        own = {name: self.range(name, int, least, math.inf) for name, least in names.items()}
        self.check(kwargs, {**own, **self.optimize_mode(), **self.seed()})
        smallest, largest = kwargs.get("min_budget", 1), kwargs.get("max_budget", 81)
        if smallest > largest:
            raise ClassArgsError("max_budget", f"expected at least min_budget, which is {smallest}, got {largest}")


class AshaAssessorValidator(BuiltinValidator):
    """``optimize_mode``, ``start_step`` and ``eta``."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of ASHAAssessor."""
        own = {"start_step": self.range("start_step", int, 1, math.inf), "eta": self.range("eta", int, 2, math.inf)}
        self.check(kwargs, {**self.optimize_mode(), **own})
