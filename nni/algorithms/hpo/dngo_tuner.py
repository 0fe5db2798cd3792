"""DNGO under its documented name (HPO-280 … HPO-284)."""

from __future__ import annotations

from nni.algorithms._validators.dngo import DngoValidator
from nni.algorithms.hpo._dngo import DngoSampler, DngoSettings
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import SearchSpace


class DNGOTuner(SamplerTuner):
    """Deep networks for global optimisation: Bayesian optimisation whose cost grows linearly with the trials.

    Takes ``choice`` among numbers, ``randint``, ``uniform``, ``quniform``, ``loguniform`` and ``qloguniform``
    (HPO-080). Needs nothing beyond the core install. A trial that fails, or whose result is NaN, counts as bad as the
    worst.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    sample_size : int, default 1000
        Candidates of which the best one is suggested.
    trials_per_update : int, default 20
        After so many further results the network is trained anew; configurations before the first time are random. The
        Bayesian regression on top of it takes every result at once.
    num_epochs_per_training : int, default 500
        Epochs of each training.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    J. Snoek et al., "Scalable Bayesian Optimization Using Deep Neural Networks", ICML 2015.

    Examples
    --------
    >>> tuner = DNGOTuner("minimize", trials_per_update=10, seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(30):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(30)["x"] - 0.5) < 0.2
    True
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        sample_size: int = 1000,
        trials_per_update: int = 20,
        num_epochs_per_training: int = 500,
        *,
        seed: int | None = None,
    ) -> None:
        arguments = {
            "optimize_mode": optimize_mode,
            "sample_size": sample_size,
            "trials_per_update": trials_per_update,
            "num_epochs_per_training": num_epochs_per_training,
        }
        DngoValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        super().__init__(optimize_mode, seed)
        self._settings = DngoSettings(
            int(sample_size), int(trials_per_update), int(num_epochs_per_training), self._seed
        )

    def new_sampler(self, space: SearchSpace) -> DngoSampler:
        """Return a sampler that knows no results yet."""
        return DngoSampler(space, self._settings)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse what a network cannot take for a number (HPO-085)."""
        DngoValidator().validate_search_space(space)
