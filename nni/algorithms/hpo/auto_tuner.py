"""The tuner that chooses the algorithm itself; the default where a configuration names none."""

from __future__ import annotations

import logging
from typing import Any

from nni.algorithms._validators.auto import AutoValidator
from nni.algorithms.hpo._auto import AutoSampler
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import SearchSpace

_logger = logging.getLogger(__name__)


class AutoTuner(SamplerTuner):
    """Chooses the algorithm by space, results and parallelism, and says so in the log.

    Takes every type of variable and nested choices. Up to 1000 results the choice is a Gaussian process that knows
    numbers on their scales, categories and branches; a running trial counts with what is expected of it. Longer runs go
    on with CMA-ES or TPE. Of a finite space nothing is suggested twice; when all was suggested, the tuner has nothing
    more, and the experiment ends.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    Attributes
    ----------
    note : str
        What is used at present, and why: ``Gaussian process: up to 1000 results, over 5 variables``.

    Examples
    --------
    >>> tuner = AutoTuner("minimize", seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(20):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(20)["x"] - 0.5) < 0.01
    True
    """

    def __init__(self, optimize_mode: str = "maximize", *, seed: int | None = None) -> None:
        AutoValidator().validate_class_args(optimize_mode=optimize_mode, **({} if seed is None else {"seed": seed}))
        super().__init__(optimize_mode, seed)
        self._algorithm = ""

    def new_sampler(self, space: SearchSpace) -> AutoSampler:
        """Return a sampler that chooses."""
        return AutoSampler(space, self._seed)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse types of custom tuners."""
        AutoValidator().validate_search_space(space)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        """Return a configuration; when another algorithm is chosen than before, log which and why."""
        sampler = self.sampler
        assert isinstance(sampler, AutoSampler)
        choice = sampler.choose()
        if choice.algorithm != self._algorithm:
            self._algorithm, self.note = choice.algorithm, str(choice)
            _logger.info("Auto uses %s", choice)
        return super().generate_parameters(parameter_id, **kwargs)
