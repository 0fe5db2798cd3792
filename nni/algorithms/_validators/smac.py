"""Of the tuner SMAC."""

from __future__ import annotations

from typing import Any

from nni.algorithms._validators.base import TunerValidator


class SmacValidator(TunerValidator):
    """``optimize_mode``, ``config_dedup`` (HPO-230, HPO-231) and ``seed``; five types, nested ones too (HPO-074)."""

    algorithm = "SMAC"
    types = ("choice", "randint", "uniform", "loguniform", "quniform")

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of SMAC."""
        checks = {"config_dedup": self.boolean("config_dedup")}
        self.check(kwargs, {**self.optimize_mode(), **checks, **self.seed()})
