"""Metis: the predicted optimum, and which configuration to try next."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from nni.algorithms.hpo._gp import GaussianProcess, Kernel
from nni.algorithms.hpo._gp._sampler import fit_size, representative
from nni.algorithms.hpo._history import Floats, HistorySampler
from nni.algorithms.hpo._metis._mixture import LEAST, GoodAndBad
from nni.algorithms.hpo._metis._model import information_gain, lowest, surprises
from nni.algorithms.hpo._numeric import NumericHistory
from nni.search_space import SearchSpace

KAPPA = 1.96  # exploration looks at the lower end of the 95 % confidence interval
DOUBT = 2.58  # a result outside the 99 % interval of what the others predict is to be repeated
CONTESTANTS = 4  # proposals of one kind that compete by what they would teach
APART = 0.01  # of a range, in any variable: what is nearer is the same proposal
MIXTURE_DRAWS = 500
WHERE = 200  # points at which the optimum may be, for what a result would teach
MOST_FITTED = 300  # observations that hyperparameters are estimated from
MOST_MODELLED = 1000  # observations that predictions are made from
_FENCE = 3.0  # interquartile ranges above the upper quartile, beyond which a loss is just bad


@dataclass(frozen=True)
class MetisSettings:
    """The arguments of :class:`~nni.algorithms.hpo.metis_tuner.MetisTuner`, without the optimize mode."""

    no_resampling: bool = True
    no_candidates: bool = False
    starting_points: int = 600
    cold_start: int = 10
    exploration_probability: float = 0.9


@dataclass(frozen=True)
class Prediction:
    """What a model says about a configuration.

    Attributes
    ----------
    parameter
        The configuration.
    loss, deviation
        Mean and standard deviation of its loss.
    """

    parameter: dict[str, Any]
    loss: float
    deviation: float


class MetisSampler(HistorySampler[NumericHistory]):
    """Predicts the best configuration, and suggests the one that teaches most about where it is.

    A Gaussian process models the losses. Its lowest mean is the predicted optimum. The next configuration comes from
    exploration, where the confidence interval of the process reaches lowest; or from exploitation, where a Gaussian
    mixture of good observations is denser than one of the others; or is one whose result the process doubts, to be
    measured again. Among the proposals, the one is suggested whose result is expected to improve the predicted optimum
    most.

    Running trials are believed to give what the process predicts, and are bad ones for the mixtures.

    Parameters
    ----------
    space
        A space of numbers without branches.
    settings
        How to work.

    References
    ----------
    Z. L. Li et al., "Metis: Robustly Optimizing Tail Latencies of Cloud Systems", USENIX ATC 2018.
    """

    def __init__(self, space: SearchSpace, settings: MetisSettings) -> None:
        super().__init__(NumericHistory(space))
        self._settings = settings
        self._fitted: tuple[int, GaussianProcess] | None = None

    @property
    def is_cold(self) -> bool:
        """Whether there are too few results for a model."""
        history = self._history
        return len(history) < self._settings.cold_start or not history.has_result or not len(history.encoder)

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration."""
        history = self._history
        if self.is_cold:
            return history.fresh_draw(rng)
        state = self._state()
        starts = self._starts(state, rng)
        optima = lowest(state.process, history, starts)
        if self._settings.no_candidates:
            return history.first_fresh(history.nearest(optima), rng)
        proposals = self._explore(state, starts) if self._explores(rng) else self._exploit(state, starts, rng)
        repeats = {} if self._settings.no_resampling else self._doubtful(state)
        where = np.concatenate([optima, starts[-WHERE:]])
        options = [(point, 0.0) for point in self._fresh(proposals)]
        options += [(state.points[number], surprise) for number, surprise in repeats.items()]
        if not options:
            return history.fresh_draw(rng)
        gains = [information_gain(state.process, state.modelled, point, where, s) for point, s in options]
        return history.configuration(history.nearest(options[int(np.argmax(gains))][0][None])[0])

    def predicted_optimum(self, rng: np.random.Generator) -> Prediction | None:
        """Return the configuration with the lowest predicted loss; None before there is a model."""
        if self.is_cold:
            return None
        history, state = self._history, self._state()
        best = lowest(state.process, history, self._starts(state, rng))[:1]
        mean, variance = state.process.predict(best)
        middle, spread = _scale(history.losses)
        configuration = history.configuration(history.nearest(best)[0])
        return Prediction(configuration, middle + spread * float(mean[0]), spread * float(np.sqrt(variance[0])))

    # -------------------------------------------------------------------------------------------- proposals

    def _explores(self, rng: np.random.Generator) -> bool:
        enough = len(self._history) >= 2 * LEAST  # for mixtures on either side
        return bool(rng.random() < self._settings.exploration_probability) or not enough

    def _explore(self, state: _State, starts: Floats) -> Floats:
        return lowest(state.process, self._history, starts, KAPPA)

    def _exploit(self, state: _State, starts: Floats, rng: np.random.Generator) -> Floats:
        mixtures = GoodAndBad(state.points, state.values, state.running, int(rng.integers(2**31)))
        candidates = self._history.snapped(np.concatenate([mixtures.sample(MIXTURE_DRAWS, rng), starts]))
        return np.asarray(candidates[np.argsort(-mixtures.log_ratio(candidates), kind="stable")])

    def _fresh(self, points: Floats) -> list[Floats]:
        """Return the first few points that were not tried yet and are not next to each other."""
        found: list[Floats] = []
        for point in points:
            is_near = any(np.abs(point - other).max() < APART for other in found)
            if not is_near and self._history.is_fresh(
                self._history.configuration(self._history.nearest(point[None])[0])
            ):
                found.append(point)
            if len(found) == CONTESTANTS:
                break
        return found

    def _doubtful(self, state: _State) -> dict[int, float]:
        """Return the numbers of the most doubtful results, and how far off they are; none that is being repeated."""
        running = {point.tobytes() for point in state.running}
        distance, deviations = surprises(state.process, state.points, state.values)
        suspects = [int(n) for n in np.argsort(-deviations, kind="stable") if deviations[n] > DOUBT]
        return {n: float(distance[n]) for n in suspects if state.points[n].tobytes() not in running}

    # -------------------------------------------------------------------------------------------- model

    def _starts(self, state: _State, rng: np.random.Generator) -> Floats:
        """Return the points that searches start from: draws from the space, and the best results."""
        draws = self._history.points(self._history.draw(self._settings.starting_points, rng))
        best = state.points[np.argsort(state.values, kind="stable")[:10]]
        return np.concatenate([draws, best])

    def _state(self) -> _State:
        """Return the results, and the model of them and of the running trials.

        Its hyperparameters are estimated from the first m results, where m follows from their number alone, so that a
        run that was interrupted goes on as if it had not been.
        """
        history = self._history
        points, running = history.points(history.rows), history.points(history.running)
        count = fit_size(len(history))
        if self._fitted is None or self._fitted[0] != count:
            losses = history.losses[:count]
            which = representative(losses, MOST_FITTED)
            process = GaussianProcess(Kernel.numeric(len(history.encoder)))
            self._fitted = (count, process.fit(points[:count][which], standardised(losses)[which]))
        values = standardised(history.losses)
        which = representative(history.losses, MOST_MODELLED)
        process, modelled = copy.copy(self._fitted[1]).condition(points[which], values[which]), values[which]
        if len(running):
            beliefs = process.predict_mean(running)
            process, modelled = process.extend(running, beliefs), np.concatenate([modelled, beliefs])
        return _State(points, values, running, process, modelled)


@dataclass(frozen=True)
class _State:
    """What one suggestion starts from.

    Attributes
    ----------
    points, values
        All results.
    running
        The points of the running trials.
    process, modelled
        The model, and the values that it is conditioned on.
    """

    points: Floats
    values: Floats
    running: Floats
    process: GaussianProcess
    modelled: Floats


def standardised(losses: Floats) -> Floats:
    """Return losses with mean 0 and variance 1, those far above the others drawn in; shape (n,)."""
    middle, spread = _scale(losses)
    return (_fenced(losses) - middle) / spread


def _scale(losses: Floats) -> tuple[float, float]:
    fenced = _fenced(losses)
    spread = float(fenced.std())
    return float(fenced.mean()), spread if spread > 0 else 1.0


def _fenced(losses: Floats) -> Floats:
    low, high = np.quantile(losses, [0.25, 0.75])
    return np.minimum(losses, high + _FENCE * (high - low)) if high > low else losses
