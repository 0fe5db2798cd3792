"""Of BOHB."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nni.algorithms._class_args import Check, ClassArgsError
from nni.algorithms._validators.advisor import AdvisorValidator


class BohbValidator(AdvisorValidator):
    """The documented arguments (HPO-340 … HPO-350) and ``seed``."""

    algorithm = "BOHB"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of BOHB."""
        own = {
            "min_budget": self.range("min_budget", int, 1, math.inf),
            "max_budget": self.range("max_budget", int, 2, math.inf),
            "eta": self.range("eta", int, 2, math.inf),
            "min_points_in_model": _or_none(self.range("min_points_in_model", int, 1, math.inf)),
            "top_n_percent": self.range("top_n_percent", int, 1, 99),
            "num_samples": self.range("num_samples", int, 1, math.inf),
            "random_fraction": self.range("random_fraction", float, 0, 1),
            "bandwidth_factor": _positive("bandwidth_factor"),
            "min_bandwidth": _positive("min_bandwidth"),
            "config_space": Check("config_space", "the absolute path of a .pcs file that is there", _is_file),
        }
        self.check(kwargs, {**own, **self.optimize_mode(), **self.seed()})
        smallest, largest = kwargs.get("min_budget", 1), kwargs.get("max_budget", 3)
        if smallest >= largest:
            raise ClassArgsError("max_budget", f"expected more than min_budget, which is {smallest}, got {largest}")


def _or_none(check: Check) -> Check:
    def accepts(value: Any) -> bool:
        return value is None or _passes(check, value)

    return Check("min_points_in_model", "an integer of at least 1, or null", accepts)


def _passes(check: Check, value: Any) -> bool:
    try:
        check.validate(value)
    except ClassArgsError:
        return False
    return True


def _positive(name: str) -> Check:
    def accepts(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf

    return Check(name, "a positive number", accepts)


def _is_file(value: Any) -> bool:
    return value is None or (isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file())
