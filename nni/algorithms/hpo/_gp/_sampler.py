"""Bayesian optimisation: what to try next, by a Gaussian process of all that was seen."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nni.algorithms.hpo._gp._acquisition import Acquisition, Utility
from nni.algorithms.hpo._gp._arms import Arms, in_arm
from nni.algorithms.hpo._gp._kernel import Kernel
from nni.algorithms.hpo._gp._matern import Floats
from nni.algorithms.hpo._gp._optimise import Effort, Search
from nni.algorithms.hpo._gp._process import LEAST_NOISE, GaussianProcess
from nni.algorithms.hpo._gp._space import UnitSpace
from nni.algorithms.hpo._gp._warp import warp
from nni.common.errors import NoMoreTrialError
from nni.search_space import SearchSpace, nth_configuration, space_size

MOST_FITTED = 300
"""Observations that hyperparameters are fitted to; of more, the best and a part of the others."""

MOST_MODELLED = 1000
"""Observations that predictions are made from."""

MOST_PAIRS = 500_000
"""Of a candidate and an observation: bounds the time that a suggestion takes, whatever the settings ask for."""

MOST_STARTS = 1000
"""Of improvements of candidates, times the number of observations."""

POLISHING = math.log(1e-3)
"""Log of the expected improvement, in deviations of the results, below which only the last digits are worked on."""

_LEAST_CANDIDATES = 500
_LEAST_STARTS = 3
_LARGEST_LISTED = 2000  # finite spaces up to this size are searched in full
_INCUMBENTS = 10  # observations that mutants descend from


@dataclass(frozen=True)
class GpSettings:
    """How a :class:`GpSampler` works; see :class:`~nni.algorithms.hpo.gp_tuner.GPTuner`.

    Attributes
    ----------
    margin
        What every other suggestion adds to ``xi`` while no improvement beyond :data:`POLISHING` is to be expected
        otherwise: one trial ahead, a millionth that is certain looks better than a large improvement that is not.
    """

    utility: Utility = "ei"
    kappa: float = 5.0
    xi: float = 0.0
    nu: float = 2.5
    least_noise: float = LEAST_NOISE
    startup: int = 10
    margin: float = 0.0
    effort: Effort = field(default_factory=Effort)


class GpSampler:
    """Suggests the configuration with the largest acquisition.

    A running trial counts as if it had given what the model expects of it ("kriging believer", Ginsbourger et al.
    2010). Hyperparameters are fitted to the first m observations, where m follows from the number n of them (every
    one at first, a few per cent more each time later), from the same start each time: they depend on nothing but the
    observations, so that a run that was interrupted goes on as if it had not been.

    Parameters
    ----------
    space
        The space.
    settings
        How to work.
    """

    def __init__(self, space: SearchSpace, settings: GpSettings | None = None) -> None:
        self.space = UnitSpace(space)
        self.settings = settings or GpSettings()
        self._kernel = Kernel.of(self.space.encoder, self.settings.nu)
        self._arms = Arms(self.space)
        self._rows: list[Floats] = []
        self._losses: list[float] = []
        self._running: dict[Hashable, Floats] = {}
        self._begun = 0
        self._satisfies: Callable[[Any], bool] | None = None
        self._is_finite = not self.space.has_reals
        self._size = space_size(space)
        self._source = space
        self._tried: set[bytes] = set()
        self._listed: Floats | None = None
        self._fitted: tuple[int, GaussianProcess] | None = None
        self._conditioned: tuple[int, GaussianProcess] | None = None

    # ------------------------------------------------------------------------------------------ what is known

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        self._running[key] = self._row(configuration)
        self._begun += 1

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._running.pop(key, None)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result; NaN or infinity is that of a failure."""
        self._rows.append(self._row(configuration))
        self._losses.append(math.inf if math.isnan(loss) else loss)

    @property
    def losses(self) -> Floats:
        """All losses, oldest first."""
        return np.array(self._losses)

    @property
    def rows(self) -> Floats:
        """The configurations of :attr:`losses`, shape (n, d)."""
        return np.array(self._rows).reshape(len(self._rows), len(self.space))

    def _row(self, configuration: Mapping[str, Any]) -> Floats:
        row: Floats = self.space.encode([dict(configuration)])[0]
        if self._is_finite:
            self._tried.add(_key(row))
        return row

    # ------------------------------------------------------------------------------------------ suggestions

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration.

        Raises
        ------
        NoMoreTrialError
            When every configuration of a finite space was tried or is running.
        """
        self.end_if_exhausted()
        if not self.is_ready:
            return self._spread(rng)
        return self.from_model(rng)

    def end_if_exhausted(self) -> None:
        """Raise :class:`NoMoreTrialError` when every configuration of a finite space was tried or is running."""
        if self._size is not None and len(self._tried) >= self._size:
            raise NoMoreTrialError("every configuration of the search space has been tried")

    @property
    def is_ready(self) -> bool:
        """Whether there are enough observations for a model."""
        return sum(map(math.isfinite, self._losses)) >= min(self.settings.startup, 2 + self.settings.startup // 2) and (
            len(self._losses) >= self.settings.startup
        )

    def _spread(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the next point of Latin hypercubes (McKay et al. 1979), something new if need be."""
        block, index = divmod(self._begun, max(self.settings.startup, 2))
        hypercube = np.random.default_rng([len(self.space), block])
        n = max(self.settings.startup, 2)
        strata = (
            np.stack([hypercube.permutation(n) for _ in range(len(self.space))], axis=1) if len(self.space) else None
        )
        shift = rng.random(len(self.space))
        if strata is not None:
            row = self.space.scatter(((strata[index] + shift) / n)[None])
            if not self._forbidden(row)[0]:
                return dict(self.space.decode(row[0]))
        return self._fresh_draw(rng)

    def _fresh_draw(self, rng: np.random.Generator) -> dict[str, Any]:
        rows = self.space.sample(200, rng)
        fresh = np.flatnonzero(~self._forbidden(rows))
        if len(fresh):
            return dict(self.space.decode(rows[fresh[0]]))
        listed = self._untried()
        return dict(self.space.decode(listed[int(rng.integers(len(listed)))] if len(listed) else rows[0]))

    def from_model(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the configuration with the largest acquisition."""
        process, best = self.model()
        if self._arms.exist and self._begun % 2:
            of_arm = self._from_arm(process, rng)
            if of_arm is not None:
                return of_arm
        acquisition = self._acquisition(best)
        if self._is_finite and self._size is not None and self._size <= _LARGEST_LISTED:
            rows = self._untried()
            if not len(rows):
                raise NoMoreTrialError("every configuration that satisfies the constraints has been tried")
            return dict(self.space.decode(rows[int(np.argmax(acquisition(*process.predict(rows))))]))
        search = Search(self.space, process, acquisition, self._forbidden)
        found = search.best(self._incumbents(self.rows, self.losses), self._effort(), rng)
        if found is not None and self.settings.margin and found[1] < POLISHING and self._begun % 2:
            farther = Search(self.space, process, self._acquisition(best, self.settings.margin), self._forbidden)
            found = farther.best(self._incumbents(self.rows, self.losses), self._effort(), rng)
        return self._fresh_draw(rng) if found is None else dict(self.space.decode(found[0]))

    def _from_arm(self, process: GaussianProcess, rng: np.random.Generator) -> dict[str, Any] | None:
        """Return what may improve a branch that is not the best one; see :mod:`._arms`."""
        running = np.array(list(self._running.values())).reshape(len(self._running), len(self.space))
        rows = np.concatenate([self.rows, running])
        losses = np.append(self.losses, np.full(len(running), math.inf))
        arm = self._arms.choose(process, rows, losses, self._begun // 2, rng)
        if arm is None:
            return None
        inside = in_arm(rows, arm)
        best = process.predict_mean(rows[inside]).min() if inside.any() else 0.0
        search = Search(
            self.space,
            process,
            self._acquisition(float(best)),
            lambda found: self._forbidden(found) | ~in_arm(found, arm),
            fixed=arm,
        )
        found = search.best(self._incumbents(rows[inside], losses[inside]), self._effort(), rng)
        return None if found is None else dict(self.space.decode(found[0]))

    def _acquisition(self, best: float, margin: float = 0.0) -> Acquisition:
        return Acquisition(self.settings.utility, best, self.settings.kappa, self.settings.xi + margin)

    def _effort(self) -> Effort:
        """Return the effort, less of it the more a prediction costs."""
        effort, n = self.settings.effort, max(len(self._losses) + len(self._running), 1)
        total = effort.draws + effort.mutants
        share = min(1.0, max(_LEAST_CANDIDATES, MOST_PAIRS / n) / total)
        starts = min(effort.starts, max(_LEAST_STARTS, MOST_STARTS // n))
        return Effort(round(effort.draws * share), round(effort.mutants * share), starts)

    def _incumbents(self, rows: Floats, losses: Floats) -> Floats:
        order = np.argsort(losses, kind="stable")[:_INCUMBENTS]
        return np.asarray(rows[order[np.isfinite(losses[order])]])

    # ------------------------------------------------------------------------------------------ model

    def model(self) -> tuple[GaussianProcess, float]:
        """Return the process of all observations and running trials, and the (warped) loss to improve on."""
        process = self._of_observations()
        best = float(process.smoothed().min())
        if self._running:
            pending = np.array(list(self._running.values()))
            expected = process.predict_mean(pending)
            best = min(best, float(expected.min()))
            process = copy.copy(process).extend(pending, expected)
        return process, best

    def _of_observations(self) -> GaussianProcess:
        n = len(self._losses)
        if self._conditioned is not None and self._conditioned[0] == n:
            return self._conditioned[1]
        fitted_to = fit_size(n)
        warped = warp(self.losses, self.rows)
        if self._fitted is None or self._fitted[0] != fitted_to:
            process = self._fit(fitted_to)
            self._conditioned = None
        else:
            process = self._fitted[1]
        if self._conditioned is not None and n <= MOST_MODELLED:
            known, process = self._conditioned
            process = process.extend(self.rows[known:], warped[known:]).revalue(warped)
        else:
            which = representative(self.losses, MOST_MODELLED)
            process = copy.copy(process).condition(self.rows[which], warped[which])
        self._conditioned = (n, process)
        return process

    def _fit(self, count: int) -> GaussianProcess:
        losses, rows = self.losses[:count], self.rows[:count]
        which = representative(losses, MOST_FITTED)
        process = GaussianProcess(self._kernel, least_noise=self.settings.least_noise)
        process.fit(rows[which], warp(losses, rows)[which])
        self._fitted = (count, process)
        return process

    # ------------------------------------------------------------------------------------------ repetitions

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Suggest only what satisfies a condition, as far as there is any."""
        self._satisfies = satisfies

    def _forbidden(self, rows: Floats) -> np.ndarray:
        forbidden = np.zeros(len(rows), dtype=bool)
        if self._is_finite:
            forbidden = np.array([_key(row) in self._tried for row in rows], dtype=bool)
        if self._satisfies is not None:
            forbidden |= np.array([not self._satisfies(self.space.decode(row)) for row in rows], dtype=bool)
        return forbidden

    def _untried(self) -> Floats:
        if self._size is None or self._size > 50 * _LARGEST_LISTED:
            return np.empty((0, len(self.space)))
        if self._listed is None:
            self._listed = self.space.encode([nth_configuration(self._source, i) for i in range(self._size)])
        return np.asarray(self._listed[~self._forbidden(self._listed)])


def fit_size(n: int) -> int:
    """Return how many of n observations hyperparameters are fitted to: all up to 32, later in steps of 3 to 6 %."""
    if n < 32:
        return n
    step = 2 ** (n.bit_length() - 5)
    return int(n // step * step)


def representative(losses: Floats, most: int) -> np.ndarray:
    """Return ascending indices of at most so many observations: half of them the best, the rest spread out."""
    if len(losses) <= most:
        return np.arange(len(losses))
    order = np.argsort(losses, kind="stable")
    best, rest = order[: most // 2], np.sort(order[most // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, most - len(best)).astype(int)]
    return np.sort(np.concatenate([best, spread]))


def _key(row: Floats) -> bytes:
    return bytes((np.round(np.where(np.isnan(row), -1.0, row), 9) + 0.0).tobytes())
