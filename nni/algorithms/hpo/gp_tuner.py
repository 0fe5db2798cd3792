"""Bayesian optimisation with Gaussian processes under its documented class (HPO-270 … HPO-279)."""

from __future__ import annotations

from nni.algorithms._validators.gp import GpValidator
from nni.algorithms.hpo._gp import Effort, GpSampler, GpSettings, Utility
from nni.algorithms.hpo._sampler_tuner import SamplerTuner
from nni.search_space import SearchSpace


class GPTuner(SamplerTuner):
    """Suggests the configuration that a Gaussian process of all results so far finds most promising.

    Numbers of any scale, nested choices included; other choices must be among numbers (HPO-085). The process has a
    Matérn covariance with a length scale for each variable, found by maximum posterior; losses are warped towards a
    normal distribution. The maximum of the utility is sought among ``selection_num_warm_up`` draws, of which the best
    ``selection_num_starting_points`` that differ are improved with L-BFGS-B, all at once. A running trial counts with
    the result that the model expects of it. Of a finite space nothing is suggested twice; when all was suggested, the
    tuner has nothing more.

    The cost of a suggestion grows with the cube of the number of results up to 1000, of which those beyond that
    that say least are left out.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    utility : {"ei", "ucb", "poi"}, default "ei"
        Expected improvement, upper confidence bound, or probability of improvement.
    kappa : float, default 5
        Of ``ucb``: how many standard deviations above the mean; more explores more.
    xi : float, default 0
        Of ``ei`` and ``poi``: by how much to improve, in standard deviations of the warped results; more explores more.
    nu : float, default 2.5
        Smoothness of the Matérn function; smaller is rougher.
    alpha : float, default 1e-6
        Variance of the noise in the results, as a share of their (warped) variance: the least that the model takes
        there to be; more is estimated where the results show it.
    cold_start_num : int, default 10
        Configurations that are spread over the space before there is a model.
    selection_num_warm_up : int, default 100000
        Draws that are scored to find the largest utility, fewer once there are more than 10 results: at most half a
        million pairs of a draw and a result, so that a suggestion stays within a fraction of a second.
    selection_num_starting_points : int, default 250
        The best of them to start L-BFGS-B from; for the same reason at most 1000 divided by the number of results.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011, section 3; D. Jones et al., "Efficient
    Global Optimization of Expensive Black-Box Functions", 1998; C. E. Rasmussen and C. K. I. Williams, "Gaussian
    Processes for Machine Learning", 2006.

    Examples
    --------
    >>> tuner = GPTuner("minimize", selection_num_warm_up=1000, selection_num_starting_points=5, seed=1)
    >>> tuner.update_search_space({"x": {"_type": "uniform", "_value": [-1, 1]}})
    >>> for i in range(20):
    ...     x = tuner.generate_parameters(i)["x"]
    ...     tuner.receive_trial_result(i, {"x": x}, (x - 0.5) ** 2)
    >>> abs(tuner.generate_parameters(20)["x"] - 0.5) < 0.01
    True
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        utility: Utility = "ei",
        kappa: float = 5,
        xi: float = 0,
        nu: float = 2.5,
        alpha: float = 1e-6,
        cold_start_num: int = 10,
        selection_num_warm_up: int = 100000,
        selection_num_starting_points: int = 250,
        *,
        seed: int | None = None,
    ) -> None:
        GpValidator().validate_class_args(
            optimize_mode=optimize_mode,
            utility=utility,
            kappa=kappa,
            xi=xi,
            nu=nu,
            alpha=alpha,
            cold_start_num=cold_start_num,
            selection_num_warm_up=selection_num_warm_up,
            selection_num_starting_points=selection_num_starting_points,
            **({} if seed is None else {"seed": seed}),
        )
        draws = int(selection_num_warm_up)
        self._settings = GpSettings(
            utility=utility,
            kappa=float(kappa),
            xi=float(xi),
            nu=float(nu),
            least_noise=float(alpha),
            startup=int(cold_start_num),
            effort=Effort(draws - draws // 10, draws // 10, int(selection_num_starting_points)),
        )
        super().__init__(optimize_mode, seed)

    def new_sampler(self, space: SearchSpace) -> GpSampler:
        """Return a sampler with the configured settings."""
        return GpSampler(space, self._settings)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse what a Gaussian process of numbers cannot model."""
        GpValidator().validate_search_space(space)
