"""TPE, annealing and random search under their documented class (HPO-200 … HPO-217)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from nni.algorithms._class_args import ClassArgsError
from nni.algorithms._validators.anneal import AnnealValidator
from nni.algorithms._validators.hyperopt import RandomValidator, TpeValidator
from nni.algorithms.hpo._anneal import AnnealSampler
from nni.algorithms.hpo._sampler_tuner import Sampler, SamplerTuner
from nni.algorithms.hpo._tpe import Lie, TpeSampler
from nni.search_space import SearchSpace, sample


class RandomSampler:
    """Independent draws from the prior (Bergstra and Bengio 2012); nothing is learnt."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note nothing."""

    def stop(self, key: Hashable) -> None:
        """Note nothing."""

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Note nothing."""

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a draw."""
        return sample(self._space, rng)


class HyperoptTuner(SamplerTuner):
    """Tree-structured Parzen estimator, annealing, or random search.

    What is suggested depends on nothing but the seed, the parameter id, the results so far and the trials that are
    running, so that a run that was interrupted goes on as if it had not been. All ten types of variables and nested
    choices are taken (HPO-070, HPO-071). ``randint`` of up to 64 values is unordered (HPO-216).

    A trial that fails, or whose result is NaN, counts as worse than any other. Of a finite space no configuration is
    suggested by TPE or annealing twice until all have been.

    The helper ``miscs_update_idxs_vals`` of the documented class belongs to the data structures of another library
    and is not there (HPO-207).

    Parameters
    ----------
    algorithm_name : {"tpe", "anneal", "random_search"}
        ``"random"`` is short for the last.
    optimize_mode : {"maximize", "minimize"}, default "minimize"
        Which end of the metric is the better one. In a config the default is ``maximize`` (X-01).
    parallel_optimize : bool, default False
        Let TPE take running trials into account (constant liar), so that trials that run at the same time differ.
    constant_liar_type : {"min", "max", "mean"}, default "min"
        What the result of a running trial is taken to be, among the losses so far: the metric in ``minimize`` mode, its
        negative in ``maximize`` mode (X-30). ``min`` is the least explorative.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", NIPS 2011.
    J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012.

    Examples
    --------
    >>> tuner = HyperoptTuner("tpe", optimize_mode="minimize", seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(50):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(50)["x"] - 0.5) < 0.2
    True
    """

    def __init__(
        self,
        algorithm_name: str,
        optimize_mode: str = "minimize",
        parallel_optimize: bool = False,
        constant_liar_type: Lie = "min",
        *,
        seed: int | None = None,
    ) -> None:
        arguments = {
            "optimize_mode": optimize_mode,
            "parallel_optimize": parallel_optimize,
            "constant_liar_type": constant_liar_type,
        }
        TpeValidator().validate_class_args(**arguments, **({} if seed is None else {"seed": seed}))
        if algorithm_name not in ("tpe", "anneal", "random_search", "random"):
            known = "'tpe', 'anneal' or 'random_search'"
            raise ClassArgsError("algorithm_name", f"expected {known}, got {algorithm_name!r}")
        self._is_tpe = algorithm_name == "tpe"
        self._anneals = algorithm_name == "anneal"
        self._lie = constant_liar_type if parallel_optimize else None
        self._unnumbered = 0  # suggestions made without a parameter id
        super().__init__(optimize_mode, seed)

    def new_sampler(self, space: SearchSpace) -> Sampler:
        """Return a sampler of the configured algorithm."""
        if self._anneals:
            return AnnealSampler(space)
        return TpeSampler(space, self._lie) if self._is_tpe else RandomSampler(space)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse types of custom tuners."""
        validator = TpeValidator if self._is_tpe else AnnealValidator if self._anneals else RandomValidator
        validator().validate_search_space(space)

    def get_suggestion(self, random_search: bool = False) -> dict[str, Any]:
        """Return a configuration without a trial for it.

        Parameters
        ----------
        random_search
            Draw from the prior whatever the algorithm (HPO-205).
        """
        self._unnumbered += 1
        rng = np.random.default_rng([self._seed, 1, self._unnumbered])
        return sample(self._space, rng) if random_search else self.sampler.suggest(rng)
