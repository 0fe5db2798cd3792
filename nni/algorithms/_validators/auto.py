"""Of Auto."""

from __future__ import annotations

from typing import Any

from nni.algorithms._validators.base import TunerValidator


class AutoValidator(TunerValidator):
    """``optimize_mode`` and ``seed``."""

    algorithm = "Auto"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Auto."""
        self.check(kwargs, {**self.optimize_mode(), **self.seed()})
