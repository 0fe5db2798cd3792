"""Of the tuner PPOTuner."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, SearchSpaceError, require

LARGEST_RANDINT = 1024


class PpoValidator(TunerValidator):
    """The numbers of the algorithm, ``optimize_mode`` and ``seed``; spaces of choices (HPO-084)."""

    algorithm = "PPOTuner"
    types = ("choice", "randint")

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of PPOTuner."""
        counts = ("trials_per_update", "epochs_per_update", "minibatch_size")
        positive = ("lr", "max_grad_norm", "cliprange")
        checks = {
            **{name: self.range(name, int, 1, math.inf) for name in counts},
            **{name: self.range(name, float, 1e-300, math.inf) for name in positive},
            **{name: self.range(name, float, 0, math.inf) for name in ("ent_coef", "vf_coef")},
            **{name: self.range(name, float, 0, 1) for name in ("gamma", "lam")},
        }
        self.check(kwargs, {**self.optimize_mode(), **checks, **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse what is no choice, and a randint of more values than a policy can tell apart."""
        require(space, self.types, self.algorithm)
        for parameter in space.walk():
            if parameter.size is not None and parameter.type == "randint" and parameter.size > LARGEST_RANDINT:
                raise SearchSpaceError(
                    parameter.path,
                    f"PPOTuner takes a randint of at most {LARGEST_RANDINT} values, got {parameter.size}",
                )
