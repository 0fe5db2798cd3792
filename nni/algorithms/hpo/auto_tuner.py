"""The tuner that chooses the algorithm itself."""

from __future__ import annotations

from nni.algorithms._validators.auto import AutoValidator
from nni.algorithms.hpo._auto import AutoSampler
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import SearchSpace


class AutoTuner(SamplerTuner):
    """To come."""

    def __init__(self, optimize_mode: str = "maximize", *, seed: int | None = None) -> None:
        AutoValidator().validate_class_args(optimize_mode=optimize_mode, **({} if seed is None else {"seed": seed}))
        super().__init__(optimize_mode, seed)

    def new_sampler(self, space: SearchSpace) -> AutoSampler:
        """Return a sampler."""
        return AutoSampler(space)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse types of custom tuners."""
        AutoValidator().validate_search_space(space)
