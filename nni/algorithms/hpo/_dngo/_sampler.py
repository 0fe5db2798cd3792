"""DNGO: which configuration to try next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nni.algorithms.hpo._dngo._network import Network, train
from nni.algorithms.hpo._dngo._regression import BayesianRegression
from nni.algorithms.hpo._gp import Acquisition, warp
from nni.algorithms.hpo._history import Floats, HistorySampler
from nni.algorithms.hpo._numeric import NumericHistory
from nni.search_space import SearchSpace

PARENTS = 10  # best results around which a half of the candidates lies
SPREADS = (0.2, 0.05, 0.01)  # of these candidates, in parts of a range
LARGEST_ALPHA = 0.02
"""Of the regression. Its basis was fitted to the very results that it explains: small weights explain them well, and
the marginal likelihood makes too sure of them. Hence weights have a prior deviation of 7 at least."""

_LEAST_VARIANCE = 1e-20


@dataclass(frozen=True)
class DngoSettings:
    """The arguments of :class:`~nni.algorithms.hpo.dngo_tuner.DNGOTuner`, without the optimize mode.

    ``seed`` is that of the networks: the one trained after so many results is the same whenever it is trained.
    """

    sample_size: int
    trials_per_update: int
    epochs: int
    seed: int


class DngoSampler(HistorySampler[NumericHistory]):
    """Suggests the candidate with the largest expected improvement under an adaptive basis regression.

    A network is trained on the results each time there are ``trials_per_update`` more. Its last hidden layer are the
    basis functions of a Bayesian linear regression, which is conditioned on all results, those since the training
    too, and on the running trials, which are believed to give what it predicts.

    Parameters
    ----------
    space
        A space of numbers without branches.
    settings
        How to work.

    References
    ----------
    J. Snoek et al., "Scalable Bayesian Optimization Using Deep Neural Networks", ICML 2015.
    """

    def __init__(self, space: SearchSpace, settings: DngoSettings) -> None:
        super().__init__(NumericHistory(space))
        self._settings = settings
        self._trained: tuple[int, Network] | None = None

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration, one not tried before as long as a finite space has any."""
        history = self._history
        network = self._network()
        if network is None or not history.has_result:
            return history.fresh_draw(rng)
        points, targets = history.points(history.rows), warp(history.losses)
        regression = self._regression(network, points, targets)
        rows = self._candidates(points[np.argsort(targets, kind="stable")[:PARENTS]], rng)
        mean, variance = regression.predict(_basis(network, history.points(rows)))
        score = Acquisition("ei", float(targets.min()))(mean, np.maximum(variance, _LEAST_VARIANCE))
        return history.first_fresh(rows[np.argsort(-score, kind="stable")], rng)

    def _network(self) -> Network | None:
        """Return the network trained on the first so many results; None before there are enough for the first."""
        history, settings = self._history, self._settings
        count = len(history) // settings.trials_per_update * settings.trials_per_update
        if count == 0 or not len(history.encoder):
            return None
        if self._trained is None or self._trained[0] != count:
            inputs = _inputs(history.points(history.rows[:count]))
            rng = np.random.default_rng([settings.seed, 2, count])
            self._trained = (count, train(inputs, warp(history.losses[:count]), settings.epochs, rng))
        return self._trained[1]

    def _regression(self, network: Network, points: Floats, targets: Floats) -> BayesianRegression:
        regression = BayesianRegression(_basis(network, points), targets, largest_alpha=LARGEST_ALPHA)
        running = self._history.points(self._history.running)
        if not len(running):
            return regression
        beliefs, _ = regression.predict(_basis(network, running))
        everything = _basis(network, np.concatenate([points, running]))
        precisions = (regression.alpha, regression.beta)
        return BayesianRegression(everything, np.concatenate([targets, beliefs]), precisions)

    def _candidates(self, parents: Floats, rng: np.random.Generator) -> Floats:
        """Return ``sample_size`` rows: half of them from the space, half around the best results."""
        history, count = self._history, self._settings.sample_size
        around = count // 2
        chosen = parents[rng.integers(len(parents), size=around)]
        spread = rng.choice(SPREADS, size=(around, 1))
        moved = rng.random(chosen.shape) < 0.5  # in some variables only
        near = history.nearest(chosen + moved * spread * rng.standard_normal(chosen.shape))
        return np.concatenate([history.draw(count - around, rng), near])


def _basis(network: Network, points: Floats) -> Floats:
    """Return the basis functions at points of the unit cube: those of the network, and a quadratic bowl.

    The bowl is the prior mean of Snoek et al. (2015, section 3.3), without which far from the data all is alike. Being
    linear in its coefficients, it takes part in the regression.
    """
    inputs = _inputs(points)
    return np.concatenate([network.features(inputs), inputs, inputs**2], axis=1)


def _inputs(points: Floats) -> Floats:
    """Return points of the unit cube on [-1, 1]."""
    return 2 * points - 1
