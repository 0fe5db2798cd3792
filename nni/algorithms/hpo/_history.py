"""What a model-based tuner knows: results, running trials, and what was tried, as rows of a unit box."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo._untried import Untried
from nni.search_space import Encoder, Kind, SearchSpace, from_unit, nth_configuration, space_size, to_unit

Floats = NDArray[np.float64]


class History:
    """Observed and running configurations of a space.

    Rows are those of the :class:`~nni.search_space.Encoder` in a unit box: numeric columns on [0, 1] through the
    prior's distribution function, categorical ones the index of an option, NaN where inactive.

    Parameters
    ----------
    space
        The space.

    Attributes
    ----------
    encoder
        Its columns.
    size
        Number of configurations; None when there is no end to them.
    options
        Shape (d,): number of options of a categorical column, 0 for a numeric one.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.encoder = Encoder(space)
        self.size = space_size(space)
        self.options = np.array([_options(dimension) for dimension in self.encoder.dimensions], dtype=np.int64)
        self._rows: list[Floats] = []
        self._losses: list[float] = []
        self._running: dict[Hashable, Floats] = {}
        self._untried = Untried(space, key=self._bins)

    def __len__(self) -> int:
        return len(self._losses)

    # -------------------------------------------------------------------------------------------- what happened

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        self._running[key] = self._row(configuration)
        self._untried.mark(configuration)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._running.pop(key, None)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Note a loss; one that is not finite is a failure's."""
        self._rows.append(self._row(configuration))
        self._losses.append(loss)
        self._untried.mark(configuration)

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Take for fresh only what satisfies a condition."""
        self._untried.constrain(satisfies)

    # -------------------------------------------------------------------------------------------- as arrays

    @property
    def rows(self) -> Floats:
        """All observed rows, shape (n, d), oldest first."""
        return np.array(self._rows).reshape(len(self._rows), len(self.encoder))

    @property
    def losses(self) -> Floats:
        """All losses, shape (n,): those of failures are as bad as the worst that is a number; 0 if none is."""
        losses = np.array(self._losses, dtype=float)
        finite = losses[np.isfinite(losses)]
        return np.where(np.isfinite(losses), losses, finite.max() if len(finite) else 0.0)

    @property
    def running(self) -> Floats:
        """Rows of the running trials, shape (m, d)."""
        return np.array(list(self._running.values())).reshape(len(self._running), len(self.encoder))

    @property
    def has_result(self) -> bool:
        """Whether any loss is a number."""
        return any(math.isfinite(loss) for loss in self._losses)

    # -------------------------------------------------------------------------------------------- rows

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Return rows drawn from the prior, shape (count, d)."""
        return to_unit(self.encoder, self.encoder.sample(count, rng))

    def snap(self, rows: Floats) -> Floats:
        """Move rows to points that a configuration can have, and blank inactive columns."""
        return to_unit(self.encoder, self.encoder.snap(from_unit(self.encoder, rows)))

    def configuration(self, row: Floats) -> dict[str, Any]:
        """Return the configuration of a row."""
        return self.encoder.decode(from_unit(self.encoder, row[None]))[0]

    def all_rows(self) -> Floats:
        """Return every configuration of a finite space, shape (size, d)."""
        assert self.size is not None
        return to_unit(self.encoder, self.encoder.encode(nth_configuration(self.space, i) for i in range(self.size)))

    def _row(self, configuration: Mapping[str, Any]) -> Floats:
        return np.asarray(to_unit(self.encoder, self.encoder.encode([configuration]))[0])

    # -------------------------------------------------------------------------------------------- repetitions

    @property
    def is_exhausted(self) -> bool:
        """Whether every configuration of a finite space was tried."""
        return not self._untried.any_left

    def is_fresh(self, configuration: Mapping[str, Any]) -> bool:
        """Tell whether a configuration is allowed, and was not tried, imported or started yet, or all were."""
        return self._untried.is_new(configuration)

    def fresh_draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw a configuration from the prior, something new if there is anything new to be had."""
        return self._untried.draw(rng)

    def first_fresh(self, rows: Floats, rng: np.random.Generator) -> dict[str, Any]:
        """Return the first row's configuration that is fresh; without one, a fresh draw."""
        return self.first_fresh_of(rows) or self.fresh_draw(rng)

    def first_fresh_of(self, rows: Floats) -> dict[str, Any] | None:
        """Return the first row's configuration that is fresh, if there is one."""
        return next(filter(self.is_fresh, map(self.configuration, rows)), None)

    def _bins(self, configuration: Mapping[str, Any]) -> bytes:
        """Return what tells configurations of an endless space apart: bins, not floats (X-57)."""
        return self.encoder.snap(self.encoder.encode([configuration])).tobytes()


H = TypeVar("H", bound=History)


class HistorySampler(Generic[H]):
    """What suggests configurations from a history; a subclass adds ``suggest``."""

    def __init__(self, history: H) -> None:
        self._history = history

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Suggest only what satisfies a condition."""
        self._history.constrain(satisfies)

    def start(self, key: Hashable, configuration: Mapping[str, Any]) -> None:
        """Note that a trial is running."""
        self._history.start(key, configuration)

    def stop(self, key: Hashable) -> None:
        """Note that a trial is no longer running."""
        self._history.stop(key)

    def observe(self, configuration: Mapping[str, Any], loss: float) -> None:
        """Learn from a result; NaN or infinity is that of a failure."""
        self._history.observe(configuration, loss)


def _options(dimension: Any) -> int:
    return int(dimension.size) if dimension.kind is Kind.CATEGORICAL else 0
