"""Which algorithm suggests next: by the space, by what was found so far, and by how many trials run at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nni.algorithms.hpo._cmaes import CmaesSampler, CmaesSettings
from nni.algorithms.hpo._gp import GpSampler, GpSettings
from nni.algorithms.hpo._tpe import TpeSampler
from nni.search_space import Kind, SearchSpace

LONG = 1000
"""Results from which on a model of all of them costs more than it tells."""

CROWD = 32
"""Running trials from which on every other suggestion comes from another model, as those of one share its errors."""

MOST_COLUMNS = 200
"""Variables, those of all branches counted, that length scales can be found for in a reasonable time."""

_MARGIN = 0.1  # improvement, in deviations of the results, that is sought while only last digits are worked on
_SIGMA = 0.1  # width, in parts of the range, of the distribution around the best result that CMA-ES starts from


Uses = Literal["gp", "tpe", "cmaes"]


@dataclass(frozen=True)
class Choice:
    """An algorithm and why it was chosen.

    Attributes
    ----------
    algorithm
        Its name, for people.
    reason
        Why, in a few words.
    uses
        Which sampler suggests next.
    """

    algorithm: str
    reason: str
    uses: Uses

    def __str__(self) -> str:
        return f"{self.algorithm}: {self.reason}"


class AutoSampler:
    """Suggests configurations by the algorithm that fits the moment.

    ================================  =====================================================================
    moment                            algorithm
    ================================  =====================================================================
    fewer results than 10             Latin hypercube
    up to 1000 results                Gaussian process, conditional-aware
    ditto, more than 32 running       every other one from TPE with constant liar
    more than 1000 results            CMA-ES from the best result where there are numbers and no branches,
                                      TPE otherwise
    more than 200 variables           TPE
    ================================  =====================================================================

    The choice follows from the numbers of results and of running trials alone, so that a run that was interrupted goes
    on as if it had not been.

    Parameters
    ----------
    space
        The space.
    seed
        Of the tuner.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._gp = GpSampler(space, GpSettings(margin=_MARGIN))
        dimensions = self._gp.space.encoder.dimensions
        self._nested = any(d.parent is not None for d in dimensions)
        numbers = sum(d.kind is not Kind.CATEGORICAL for d in dimensions)
        self._mostly_numbers = not self._nested and numbers > 0 and 2 * numbers >= len(dimensions)
        self._history: list[tuple[Mapping[str, Any], float]] = []
        self._running: dict[Hashable, Mapping[str, Any]] = {}
        self._begun = 0
        self._tpe: TpeSampler | None = None
        self._cmaes: CmaesSampler | None = None

    # ------------------------------------------------------------------------------------------ the choice

    def choose(self) -> Choice:
        """Return the algorithm of the next suggestion."""
        observed, running = len(self._history), len(self._running)
        space = self._describe()
        if len(self._gp.space) > MOST_COLUMNS:
            return Choice("TPE", f"{space}; too many for length scales of their own", "tpe")
        if observed >= LONG:
            reason = f"more than {LONG} results; a long run over {space}"
            return Choice("CMA-ES", reason, "cmaes") if self._mostly_numbers else Choice("TPE", reason, "tpe")
        if not self._gp.is_ready:
            return Choice("Latin hypercube", f"too few results yet for a model of {space}", "gp")
        if running >= CROWD:
            reason = f"{CROWD} trials or more run at once, over {space}"
            return Choice("Gaussian process and TPE in turn", reason, "tpe" if self._begun % 2 else "gp")
        return Choice("Gaussian process", f"up to {LONG} results, over {space}", "gp")

    def _describe(self) -> str:
        dimensions = self._gp.space.encoder.dimensions
        words = f"{len(dimensions)} variables"
        choices = sum(d.kind is Kind.CATEGORICAL for d in dimensions)
        words += f", {choices} of them choices" if choices else ""
        return words + (", with branches" if self._nested else "")

    # ------------------------------------------------------------------------------------------ what is known

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        if self.choose().uses == "cmaes":
            self._evolving().start(key, configuration)
        self._running[key] = configuration
        self._begun += 1
        self._gp.start(key, configuration)
        if self._tpe is not None:
            self._tpe.start(key, configuration)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._running.pop(key, None)
        for sampler in self._all():
            sampler.stop(key)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result; NaN or infinity is that of a failure."""
        self._history.append((configuration, loss))
        for sampler in self._all():
            sampler.observe(configuration, loss)

    def _all(self) -> list[GpSampler | TpeSampler | CmaesSampler]:
        return [sampler for sampler in (self._gp, self._tpe, self._cmaes) if sampler is not None]

    # ------------------------------------------------------------------------------------------ suggestions

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Let the model suggest only what satisfies a condition."""
        self._gp.constrain(satisfies)

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration.

        Raises
        ------
        NoMoreTrialError
            When every configuration of a finite space was tried or is running.
        """
        self._gp.end_if_exhausted()
        uses = self.choose().uses
        if uses == "cmaes":
            return self._evolving().suggest(rng)
        if uses == "tpe":
            return self._parzen().suggest(rng)
        return self._gp.suggest(rng)

    def _parzen(self) -> TpeSampler:
        """Return TPE with all that happened so far."""
        if self._tpe is None:
            self._tpe = TpeSampler(self._space, "mean")
            for configuration, loss in self._history:
                self._tpe.observe(configuration, loss)
            for key, configuration in self._running.items():
                self._tpe.start(key, configuration)
        return self._tpe

    def _evolving(self) -> CmaesSampler:
        """Return CMA-ES, around the best of the first results of a long run."""
        if self._cmaes is None:
            self._cmaes = CmaesSampler(self._space, CmaesSettings(sigma=_SIGMA), self._seed)
            finite = [(loss, n) for n, (_, loss) in enumerate(self._history) if math.isfinite(loss)]
            if finite:
                loss, number = min(finite)
                self._cmaes.observe(self._history[number][0], loss)
        return self._cmaes
