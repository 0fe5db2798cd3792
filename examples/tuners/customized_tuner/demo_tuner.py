"""A tuner of your own: random search first, then small steps around the best configuration so far."""

from __future__ import annotations

import random
from typing import Any

from nni import ClassArgsValidator
from nni.tuner import Tuner


class DemoTuner(Tuner):
    """Hill climbing for `uniform` and `choice`.

    Parameters
    ----------
    optimize_mode
        ``maximize`` (default) or ``minimize`` the result.
    explore
        Number of random configurations before the climb starts.
    step
        Standard deviation of a step, as a fraction of the range.
    """

    def __init__(self, optimize_mode: str = "maximize", explore: int = 5, step: float = 0.1) -> None:
        self.sign = 1 if optimize_mode == "maximize" else -1
        self.explore = explore
        self.step = step
        self.random = random.Random()
        self.space: dict[str, Any] = {}
        self.best: tuple[float, dict[str, Any]] | None = None
        self.results = 0

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        for name, spec in search_space.items():
            if spec["_type"] not in ("uniform", "choice"):
                raise ValueError(f"{name}: DemoTuner knows uniform and choice, not {spec['_type']}")
        self.space = search_space

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        if self.best is None or self.results < self.explore:
            return {name: self.sample(spec) for name, spec in self.space.items()}
        around = self.best[1]
        return {name: self.move(spec, around[name]) for name, spec in self.space.items()}

    def sample(self, spec: dict[str, Any]) -> Any:
        return self.random.choice(spec["_value"]) if spec["_type"] == "choice" else self.random.uniform(*spec["_value"])

    def move(self, spec: dict[str, Any], value: Any) -> Any:
        if spec["_type"] == "choice":
            return value if self.random.random() < 0.8 else self.sample(spec)
        low, high = spec["_value"]
        return min(high, max(low, self.random.gauss(value, self.step * (high - low))))

    def receive_trial_result(self, parameter_id: int, parameters: dict[str, Any], value: Any, **kwargs: Any) -> None:
        score = self.sign * (value["default"] if isinstance(value, dict) else value)
        self.results += 1
        if self.best is None or score > self.best[0]:
            self.best = (score, parameters)


class MyClassArgsValidator(ClassArgsValidator):
    """Runs before the experiment starts, so that a typing error costs nobody an hour."""

    def validate_class_args(self, **kwargs: Any) -> None:
        self.check(
            kwargs,
            {
                "optimize_mode": self.choices("optimize_mode", "maximize", "minimize"),
                "explore": self.range("explore", int, 1, 1000),
                "step": self.range("step", float, 0.001, 1.0),
            },
        )
