"""Metis under its documented class (HPO-260 … HPO-268)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from nni.algorithms._validators.metis import MetisValidator
from nni.algorithms.hpo._metis import MetisSampler, MetisSettings
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import Choice, Parameter, RandInt, SearchSpace

_logger = logging.getLogger(__name__)


class MetisTuner(SamplerTuner):
    """Bayesian optimisation with a Gaussian process and Gaussian mixtures, for trials that take long.

    Two outputs: the next configuration, and :meth:`predicted_optimum`, which is logged with each suggestion too. Takes
    ``quniform``, ``uniform``, ``randint`` and ``choice`` among numbers (HPO-267). A trial that fails, or whose result
    is NaN, counts as bad as the worst.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    no_resampling : bool, default True
        False: a configuration whose result the model doubts may be tried once more (X-08).
    no_candidates : bool, default False
        True: do not look for what teaches most, but try what is predicted to be the best (X-08).
    selection_num_starting_points : int, default 600
        From how many points the optimum of the Gaussian process is searched. More takes longer.
    cold_start_num : int, default 10
        Before there are so many results, configurations are drawn from the search space.
    exploration_probability : float, default 0.9
        Share of the suggestions that come from exploration rather than exploitation.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    Attributes
    ----------
    x_bounds : list of list
        Of each variable ``[low, high]``, or the sorted options of a choice.
    x_types : list of str
        Of each variable ``range_continuous`` (``uniform``), ``range_int`` (``randint``) or ``discrete``.

    References
    ----------
    Z. L. Li et al., "Metis: Robustly Optimizing Tail Latencies of Cloud Systems", USENIX ATC 2018.

    Examples
    --------
    >>> tuner = MetisTuner("minimize", seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(15):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.predicted_optimum()["parameter"]["x"] - 0.5) < 0.1
    True
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        no_resampling: bool = True,
        no_candidates: bool = False,
        selection_num_starting_points: int = 600,
        cold_start_num: int = 10,
        exploration_probability: float = 0.9,
        *,
        seed: int | None = None,
    ) -> None:
        arguments = {
            "optimize_mode": optimize_mode,
            "no_resampling": no_resampling,
            "no_candidates": no_candidates,
            "selection_num_starting_points": selection_num_starting_points,
            "cold_start_num": cold_start_num,
            "exploration_probability": exploration_probability,
        }
        MetisValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        self._settings = MetisSettings(
            no_resampling=no_resampling,
            no_candidates=no_candidates,
            starting_points=int(selection_num_starting_points),
            cold_start=int(cold_start_num),
            exploration_probability=float(exploration_probability),
        )
        super().__init__(optimize_mode, seed)
        self.x_bounds: list[list[float]] = []
        self.x_types: list[str] = []

    def new_sampler(self, space: SearchSpace) -> MetisSampler:
        """Return a sampler that knows no results yet."""
        return MetisSampler(space, self._settings)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse what has no distances (HPO-085)."""
        MetisValidator().validate_search_space(space)

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space, and set :attr:`x_bounds` and :attr:`x_types`. See :class:`SamplerTuner`."""
        super().update_search_space(search_space)
        self.x_bounds = [_bounds(parameter) for parameter in self._space.values()]
        self.x_types = [_kind(parameter) for parameter in self._space.values()]

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        """Return a configuration; its trial counts as running until its result or its end is heard of."""
        configuration = super().generate_parameters(parameter_id, **kwargs)
        prediction = self.predicted_optimum() if _logger.isEnabledFor(logging.INFO) else None
        if prediction is not None:
            _logger.info("predicted optimum: %(parameter)s with %(value).6g ± %(deviation).2g", prediction)
        return configuration

    def predicted_optimum(self) -> dict[str, Any] | None:
        """Return the configuration that is predicted to be the best, whether it was tried or not (HPO-266).

        Returns
        -------
        dict, optional
            ``parameter``; ``value`` and ``deviation``, the mean and the standard deviation of its metric. None before
            there are ``cold_start_num`` results.
        """
        assert isinstance(self.sampler, MetisSampler)
        found = self.sampler.predicted_optimum(np.random.default_rng([self._seed, 1, len(self._results)]))
        if found is None:
            return None
        return {"parameter": found.parameter, "value": self._sign * found.loss, "deviation": found.deviation}


def _bounds(parameter: Parameter) -> list[float]:
    if isinstance(parameter, Choice):
        return sorted(parameter.options)
    low, high = getattr(parameter, "low", 0), getattr(parameter, "high", 0)
    return [low, high]


def _kind(parameter: Parameter) -> str:
    if isinstance(parameter, RandInt):
        return "range_int"
    return "range_continuous" if parameter.type == "uniform" else "discrete"
