"""Draws from a neighbourhood of a good observation that shrinks as observations come in."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from nni.algorithms.hpo._rows import Floats, categorical, prior_rows
from nni.algorithms.hpo._untried import Untried
from nni.search_space import Encoder, SearchSpace

RATE = 0.1
"""How fast neighbourhoods shrink: after n observations they have ``1 / (1 + RATE n)`` of the prior's extent."""

MEAN_RANK = 2.0
"""The mean rank of the observation that is drawn around; 1 is the best."""

_REDRAWS = 100  # draws to look for a configuration not suggested before


class AnnealSampler:
    """Random search that begins with the prior and ends close to the best observations (HPO-215).

    A suggestion starts from one of the best observations, whose rank has a geometric distribution, and draws each
    variable from the prior restricted to a neighbourhood: an interval for bounded priors, a normal distribution for
    normal ones, and for options the observed one or, with the neighbourhood's share of the prior, any. The share is
    ``1 / (1 + RATE n)`` after n observations of the variable, whatever the results: the rate is not adaptive. Behind an
    option with variables of its own is more to be found out than one observation tells: for a choice with such options,
    n counts as if each of them had been seen as rarely as the rarest.

    A variable of a branch that the observation did not take is drawn around an observation that did. Failures are
    never drawn around, and do not make neighbourhoods any smaller.

    Parameters
    ----------
    space
        The space; ``randint`` has an order here.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._encoder = Encoder(space)
        self._untried = Untried(space)
        self._options = categorical(self._encoder)
        self._normal = np.isinf(self._encoder.scale.upper)
        self._order: list[tuple[float, int]] = []
        self._rows: Floats = np.empty((0, len(self._encoder)))  # in the order of their losses
        self._seen = np.zeros(len(self._encoder))
        branching = {d.index for d in self._encoder.dimensions if getattr(d.parameter, "branches", None)}
        self._taken = {column: np.zeros(self._encoder.dimensions[column].size or 1) for column in branching}

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Note that a trial is running: a finite space is not asked for it again."""
        self._untried.mark(configuration)

    def stop(self, key: Hashable) -> None:
        """Note nothing: what was tried stays tried."""

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a loss; infinity and NaN are a failure's."""
        self._untried.mark(configuration)
        if math.isnan(loss) or loss == math.inf:
            return
        row = self._encoder.encode([configuration])[0]
        entry = (loss, len(self._order))
        insort(self._order, entry)
        self._rows = np.insert(self._rows, self._order.index(entry), row, axis=0)
        self._seen += ~np.isnan(row)
        for column, counts in self._taken.items():
            if not np.isnan(row[column]):
                counts[int(row[column])] += 1
                self._seen[column] = counts.min() * len(counts)

    def suggest(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return a configuration, one not tried before as long as a finite space has any."""
        for _ in range(_REDRAWS):
            row = self.near(self._anchor(rng), rng)
            configuration = self._encoder.decode(self._encoder.blank(row[None]))[0]
            if self._untried.is_new(configuration):
                return configuration
        return self._untried.draw(rng)

    def share(self) -> Floats:
        """Return how much of its prior each variable is drawn from, shape (d,): 1 in the beginning."""
        return np.asarray(1.0 / (1.0 + RATE * self._seen))

    def _anchor(self, rng: np.random.Generator) -> Floats:
        """Return what to draw around, shape (d,); NaN where nothing was observed."""
        rank = int(rng.geometric(1.0 / MEAN_RANK)) - 1
        if not len(self._rows):
            return np.full(len(self._encoder), np.nan)
        anchor = self._rows[min(rank, len(self._rows) - 1)].copy()
        for column in np.flatnonzero(np.isnan(anchor) & (self._seen > 0)):
            active = self._rows[~np.isnan(self._rows[:, column]), column]
            anchor[column] = active[min(rank, len(active) - 1)]  # the same observation for all of one branch
        return np.asarray(anchor)

    def near(self, anchor: Floats, rng: np.random.Generator) -> Floats:
        """Draw a whole row from the neighbourhood of another, shape (d,)."""
        share, scale = self.share(), self._encoder.scale
        prior = prior_rows(self._encoder, 1, rng)[0]
        uniform, normal, leap = rng.random(len(anchor)), rng.standard_normal(len(anchor)), rng.random(len(anchor))
        half = np.where(self._normal, 0.0, share / 2)
        low, high = np.maximum(anchor - half, scale.lower), np.minimum(anchor + half, scale.upper)
        near = np.where(self._normal, anchor + share * normal, low + uniform * (high - low))
        with np.errstate(invalid="ignore"):
            below, above = scale.edges(scale.values(anchor))
            # An interval inside of one bin leads nowhere: such a variable moves as options do.
            stuck = self._options | (~self._normal & (low >= below) & (high <= above))
        near = np.where(stuck, np.where(leap < share, prior, anchor), near)
        near = np.where(np.isnan(anchor), prior, near)
        return scale.internal(scale.values(near))
