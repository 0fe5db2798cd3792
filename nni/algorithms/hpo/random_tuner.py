"""Random search (HPO-214)."""

from __future__ import annotations

from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner


class RandomTuner(HyperoptTuner):
    """Independent draws from the prior, of every type of variable.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Does not change what is tried.
    seed : int, optional
        For a run that can be repeated.

    References
    ----------
    J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012.
    """

    def __init__(self, optimize_mode: str = "maximize", *, seed: int | None = None) -> None:
        super().__init__("random_search", optimize_mode, seed=seed)
