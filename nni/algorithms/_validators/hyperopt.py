"""Of HyperoptTuner: TPE and Random."""

from __future__ import annotations

from typing import Any

from nni.algorithms._validators.base import TunerValidator


class TpeValidator(TunerValidator):
    """``optimize_mode``, ``parallel_optimize``, ``constant_liar_type`` (HPO-201 … HPO-203) and ``seed``."""

    algorithm = "TPE"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of TPE."""
        liar = {
            "parallel_optimize": self.boolean("parallel_optimize"),
            "constant_liar_type": self.choices("constant_liar_type", "min", "max", "mean"),
        }
        self.check(kwargs, {**self.optimize_mode(), **liar, **self.seed()})


class RandomValidator(TunerValidator):
    """``optimize_mode`` and ``seed``."""

    algorithm = "Random"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Random."""
        self.check(kwargs, {**self.optimize_mode(), **self.seed()})
