"""Of the tuner NetworkMorphism."""

from __future__ import annotations

import math
from typing import Any

from nni.algorithms._class_args import Check
from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, SearchSpaceError


class NetworkMorphismValidator(TunerValidator):
    """The arguments of HPO-300 … HPO-305 and ``seed``; there is no search space to be given."""

    algorithm = "NetworkMorphism"
    types = ()

    def validate_class_args(self, **kwargs: Any) -> None:
        """Check the arguments of NetworkMorphism."""
        counts = ("input_width", "input_channel", "n_output_node", "max_model_size", "default_model_len")
        checks = {
            "task": self.choices("task", "cv"),
            "algorithm_name": self.choices("algorithm_name", "Bayesian"),
            "path": Check("path", "the name of a directory", lambda value: isinstance(value, str) and bool(value)),
            "verbose": self.boolean("verbose"),
            "beta": self.range("beta", float, 0, math.inf),
            "t_min": self.range("t_min", float, 1e-300, 1),
            **{name: self.range(name, int, 1, math.inf) for name in (*counts, "default_model_width")},
        }
        self.check(kwargs, {**checks, **self.optimize_mode(), **self.seed()})

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse any variable: the tuner designs the whole network (HPO-083)."""
        for parameter in space.values():
            raise SearchSpaceError(
                parameter.path,
                f"NetworkMorphism does not support variable {parameter.name!r} of type {parameter.type}; "
                "it designs the network itself and takes no variables",
            )
