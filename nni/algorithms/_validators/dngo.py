"""Of the tuner DNGOTuner."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, require


class DngoValidator(TunerValidator):
    """The arguments of DNGO (HPO-280 … HPO-283) and ``seed``; numbers only (HPO-080, HPO-085)."""

    algorithm = "DNGOTuner"
    types = ("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform")

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of DNGO."""
        counts = ("sample_size", "trials_per_update", "num_epochs_per_training")
        checks = {name: self.range(name, int, 1, math.inf) for name in counts}
        self.check(kwargs, {**self.optimize_mode(), **checks, **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse types that DNGO does not take, branches, and choices among anything but numbers."""
        require(space, self.types, self.algorithm, nested=False, numeric_choice_only=True)
