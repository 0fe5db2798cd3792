"""The checks that several built-in algorithms share."""

from __future__ import annotations

import math
from typing import ClassVar

from nni.algorithms._class_args import Check, ClassArgsValidator
from nni.search_space import TYPES, SearchSpace, require


class BuiltinValidator(ClassArgsValidator):
    """The checks that several built-in algorithms share."""

    def optimize_mode(self) -> dict[str, Check]:
        """Return the check of ``optimize_mode``."""
        return {"optimize_mode": self.choices("optimize_mode", "maximize", "minimize")}

    def seed(self) -> dict[str, Check]:
        """Return the check of ``seed``."""
        return {"seed": self.range("seed", int, 0, math.inf)}


class TunerValidator(BuiltinValidator):
    """Of a tuner; says what search spaces it takes as well (HPO-070 … HPO-086).

    Attributes
    ----------
    algorithm
        Its name, for error texts.
    types
        The ``_type`` names that it takes.
    """

    algorithm: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = TYPES

    def validate_search_space(self, space: SearchSpace) -> None:
        """Raise a :class:`~nni.search_space.SearchSpaceError` if the tuner cannot search a space."""
        require(space, self.types, self.algorithm)
