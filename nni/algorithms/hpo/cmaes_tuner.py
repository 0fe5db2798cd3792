"""Evolution by covariance matrix adaptation; not one of the documented tuners."""

from __future__ import annotations

from nni.algorithms._validators.cmaes import CmaesValidator
from nni.algorithms.hpo._cmaes import CmaesSampler, CmaesSettings
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import SearchSpace


class CMAES(SamplerTuner):
    """Draws generations from a normal distribution whose mean, width and shape follow the better ones (CMA-ES).

    For long runs over numbers: from some hundred trials on, with many at the same time, on up to a hundred variables
    that depend on each other. Few trials are better spent with ``Auto`` or ``TPE``. Every type of variable is taken:
    numbers with up to 256 steps have a margin that keeps neighbours reachable, choices a distribution of their own,
    and variables of a branch that is not taken have no effect.

    Results count in any order; a generation is complete when as many came as it has members. A failed trial is worse
    than all others of its generation. Before the first generation, the best of imported results is where the run
    starts. Of a finite space nothing is suggested twice; when all was suggested, the tuner has nothing more.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    population_size : int, optional
        Trials per generation; 4 + 3 ln(number of variables) by default. The trial concurrency or more is good.
    sigma : float, default 0.25
        Standard deviation to start with, in parts of each variable's range.
    restarts : {"ipop", "same", "none"}, default "ipop"
        When a run has converged: start another from a random place, with twice the population or the same; or go on.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    N. Hansen, "The CMA Evolution Strategy: A Tutorial", 2016; A. Auger and N. Hansen, "A Restart CMA Evolution Strategy
    With Increasing Population Size", CEC 2005; R. Hamano et al., "CatCMA with Margin", 2025.

    Examples
    --------
    >>> tuner = CMAES("minimize", seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(100):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(100)["x"] - 0.5) < 0.01
    True
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        population_size: int | None = None,
        sigma: float = 0.25,
        restarts: str = "ipop",
        *,
        seed: int | None = None,
    ) -> None:
        given = {"population_size": population_size, "seed": seed}
        CmaesValidator().validate_class_args(
            optimize_mode=optimize_mode,
            sigma=sigma,
            restarts=restarts,
            **{name: value for name, value in given.items() if value is not None},
        )
        size = None if population_size is None else int(population_size)
        self._settings = CmaesSettings(size, float(sigma), restarts)
        super().__init__(optimize_mode, seed)

    def new_sampler(self, space: SearchSpace) -> CmaesSampler:
        """Return a sampler with the configured settings."""
        return CmaesSampler(space, self._settings, self._seed)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse types of custom tuners."""
        CmaesValidator().validate_search_space(space)
