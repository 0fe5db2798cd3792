"""Of PBTTuner."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nni.algorithms._class_args import Check
from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, SearchSpaceError

CHECKPOINT_KEYS = ("load_checkpoint_dir", "save_checkpoint_dir")
"""Under these keys a trial finds its directories among its parameters (HPO-296)."""


class PbtValidator(TunerValidator):
    """The documented arguments (HPO-290 … HPO-294) and ``seed``."""

    algorithm = "PBTTuner"

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of PBTTuner."""
        own = {
            "all_checkpoint_dir": Check("all_checkpoint_dir", "an absolute path", _is_directory),
            "population_size": self.range("population_size", int, 1, math.inf),
            "factors": Check("factors", "a list of positive numbers", _are_factors),
            "fraction": self.range("fraction", float, 0, 0.5),
        }
        self.check(kwargs, {**own, **self.optimize_mode(), **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse a space with a variable of the name of a directory."""
        super().validate_search_space(space)
        for key in CHECKPOINT_KEYS:
            if key in space:
                problem = "PBTTuner gives trials a directory under this name; choose another"
                raise SearchSpaceError(space[key].path, problem)


def _is_directory(value: Any) -> bool:
    return value is None or (isinstance(value, (str, Path)) and Path(value).expanduser().is_absolute())


def _are_factors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_positive, value))


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
