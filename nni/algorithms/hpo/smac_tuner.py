"""SMAC under its documented class (HPO-230 … HPO-235)."""

from __future__ import annotations

from nni.algorithms._validators.smac import SmacValidator
from nni.algorithms.hpo._sampler_tuner import Sampler, SamplerTuner
from nni.algorithms.hpo._smac import SmacSampler
from nni.search_space import SearchSpace


class SMACTuner(SamplerTuner):
    """Sequential model-based algorithm configuration with a random forest.

    Strong where many variables are choices or integers. Takes ``choice``, ``randint`` (as an ordered number),
    ``uniform``, ``loguniform`` and ``quniform`` (HPO-074), and nested choices. A trial that fails, or whose result is
    NaN, counts as bad as the worst. Of a finite space no configuration is suggested twice until all have been.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    config_dedup : bool, default False
        Never generate a configuration that was generated or imported before; when a finite space has no other, the
        experiment is done (HPO-234). Otherwise repetitions begin then.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    F. Hutter, H. H. Hoos, K. Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm Configuration",
    LION 5, 2011.

    Examples
    --------
    >>> tuner = SMACTuner("minimize", seed=1)
    >>> tuner.update_search_space({
    ...     "k": {"_type": "choice", "_value": ["a", "b"]},
    ...     "n": {"_type": "randint", "_value": [0, 99]},
    ... })
    >>> for i in range(40):
    ...     c = tuner.generate_parameters(i)
    ...     tuner.receive_trial_result(i, c, abs(c["n"] - 70) + 50 * (c["k"] == "a"))
    >>> abs(tuner.generate_parameters(40)["n"] - 70) < 20
    True
    """

    def __init__(self, optimize_mode: str = "maximize", config_dedup: bool = False, *, seed: int | None = None) -> None:
        arguments = {"optimize_mode": optimize_mode, "config_dedup": config_dedup}
        SmacValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        self._config_dedup = config_dedup
        super().__init__(optimize_mode, seed)

    def new_sampler(self, space: SearchSpace) -> Sampler:
        """Return a forest that knows no results yet."""
        return SmacSampler(space, never_twice=self._config_dedup)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse types that SMAC does not take (HPO-233)."""
        SmacValidator().validate_search_space(space)
