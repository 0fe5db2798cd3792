"""What the class arguments of the built-in algorithms may be. Standard library only: ``nnictl`` runs these."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._class_args import Check, ClassArgsValidator


class BuiltinValidator(ClassArgsValidator):
    """The checks that several built-in algorithms share."""

    def optimize_mode(self) -> dict[str, Check]:
        """Return the check of ``optimize_mode``."""
        return {"optimize_mode": self.choices("optimize_mode", "maximize", "minimize")}

    def seed(self) -> dict[str, Check]:
        """Return the check of ``seed``."""
        return {"seed": self.range("seed", int, 0, math.inf)}


class TpeValidator(BuiltinValidator):
    """``optimize_mode``, ``parallel_optimize``, ``constant_liar_type`` (HPO-201 … HPO-203) and ``seed``."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of TPE."""
        liar = {
            "parallel_optimize": self.boolean("parallel_optimize"),
            "constant_liar_type": self.choices("constant_liar_type", "min", "max", "mean"),
        }
        self.check(kwargs, {**self.optimize_mode(), **liar, **self.seed()})


class RandomValidator(BuiltinValidator):
    """``optimize_mode`` and ``seed``."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Random."""
        self.check(kwargs, {**self.optimize_mode(), **self.seed()})


class EnumerationValidator(BuiltinValidator):
    """``optimize_mode`` only, for the tuners that go through a list (X-35)."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of GridSearch and BatchTuner."""
        self.check(kwargs, self.optimize_mode())


class MedianstopValidator(BuiltinValidator):
    """``optimize_mode`` and ``start_step`` (HPO-362)."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of Medianstop."""
        self.check(kwargs, {**self.optimize_mode(), "start_step": self.range("start_step", int, 0, math.inf)})
