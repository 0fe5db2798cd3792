"""Where BOHB's configurations come from: the part of it that is Bayesian optimisation (HPO-344 … HPO-357)."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nni.algorithms.hpo._bohb import Density, Variables
from nni.algorithms.hpo._rows import Floats
from nni.algorithms.hpo._untried import Untried
from nni.search_space import Encoder, SearchSpace, parse


@dataclass
class _Observations:
    """What was seen with one budget, the smallest loss first."""

    order: list[tuple[float, int]] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)
    model: tuple[Density, Density] | None = None

    def add(self, row: Floats, loss: float) -> None:
        insort(self.order, (loss, len(self.rows)))
        self.rows.append(row)
        self.model = None

    @property
    def usable(self) -> int:
        return sum(loss < math.inf for loss, _ in self.order)

    def part(self, places: slice) -> Floats:
        return np.array([self.rows[number] for _, number in self.order[places]])


class ConfigGenerator:
    """Suggests configurations that are likelier among good results than among bad ones.

    For each budget there is a pair of multivariate kernel density estimates, l(x) of the good results and g(x) of the
    others; that of the largest budget with enough results is used. Of ``num_samples`` draws from a widened l(x) the
    one with the largest l(x) / g(x) is suggested, whichever way is being optimised: what is good is decided before
    (X-07). On a finite space nothing is suggested twice before all has been.

    Parameters
    ----------
    space
        The search space; nested ones too.
    min_points_in_model
        Results without failures that a budget needs for a model. At least, and by default, one more than there are
        variables.
    top_n_percent
        How many of the results are good, in percent; but never fewer than a model needs, so that in the beginning
        the two estimates share results.
    num_samples
        Draws to choose from.
    random_fraction
        How often a configuration is drawn from the prior.
    bandwidth_factor
        How much wider l(x) is for drawing than for comparing.
    min_bandwidth
        The smallest bandwidth, on the unit interval.

    References
    ----------
    S. Falkner, A. Klein, F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
    section 3.2 and algorithm 2.
    """

    def __init__(
        self,
        space: SearchSpace | dict[str, Any],
        min_points_in_model: int | None = None,
        top_n_percent: int = 15,
        num_samples: int = 64,
        random_fraction: float = 0.33,
        bandwidth_factor: float = 3.0,
        min_bandwidth: float = 0.001,
    ) -> None:
        self._space = space if isinstance(space, SearchSpace) else parse(space)
        self._encoder = Encoder(self._space)
        self._variables = Variables(self._encoder)
        self._least = max(len(self._encoder) + 1, int(min_points_in_model or 0))
        self._top = int(top_n_percent)
        self._samples = int(num_samples)
        self._random = random_fraction
        self._factor = bandwidth_factor
        self._min_bandwidth = min_bandwidth
        self._observations: dict[float, _Observations] = {}
        self._untried = Untried(self._space, again=True)

    @property
    def largest_modelled_budget(self) -> float | None:
        """The budget whose model is used; None while there is no model."""
        ready = (budget for budget, seen in self._observations.items() if seen.usable >= self._least)
        return max(ready, default=None) if len(self._variables) else None

    def get_config(self, budget: float, rng: np.random.Generator | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return a configuration.

        Parameters
        ----------
        budget
            What its trial may spend. The model does not depend on it: the largest budget with one knows best.
        rng
            Source of randomness; a new one by default.
        """
        rng = np.random.default_rng() if rng is None else rng
        modelled = self.largest_modelled_budget
        if rng.random() < self._random or modelled is None or not len(self._variables):
            return self._untried.draw(rng)
        for row in self._candidates(*self._model(self._observations[modelled]), rng):
            configuration = self._encoder.decode(row[None])[0]
            if self._untried.is_new(configuration):
                return configuration
        return self._untried.draw(rng)

    def new_result(self, loss: float, budget: float, parameters: Mapping[str, Any], update_model: bool = True) -> None:
        """Learn from a result.

        Parameters
        ----------
        loss
            Smaller is better; NaN and infinity are a failure's.
        budget
            What the trial could spend.
        parameters
            Its configuration, one of the space.
        update_model
            Whether to fit the model of that budget now; otherwise when it is needed.
        """
        self._untried.mark(parameters)
        row = self._variables.to_unit(self._encoder.encode([parameters]))[0]
        seen = self._observations.setdefault(budget, _Observations())
        seen.add(row, math.inf if math.isnan(loss) else loss)
        if update_model and seen.usable >= self._least and len(self._variables):
            self._model(seen)

    def started(self, parameters: Mapping[str, Any]) -> None:
        """Hear of a configuration whose trial runs from now on."""
        self._untried.mark(parameters)

    def _model(self, seen: _Observations) -> tuple[Density, Density]:
        """Return l(x) and g(x): of the best and of the worst results, at least as many as a model needs each."""
        if seen.model is None:
            count = len(seen.order)
            good = min(max(self._least, count * self._top // 100), seen.usable)
            bad = max(self._least, count - good)
            seen.model = (
                Density(self._variables, seen.part(slice(good)), self._min_bandwidth),
                Density(self._variables, seen.part(slice(count - bad, None)), self._min_bandwidth),
            )
        return seen.model

    def _candidates(self, good: Density, bad: Density, rng: np.random.Generator) -> Floats:
        """Return draws from a widened l(x), encoded, the one with the largest l(x) / g(x) first."""
        rows = self._variables.snap(good.sample(self._samples, rng, self._factor))
        points = self._variables.to_unit(rows)
        score = good.log_ratio(points) - bad.log_ratio(points)
        return np.asarray(rows[np.argsort(-score, kind="stable")])
