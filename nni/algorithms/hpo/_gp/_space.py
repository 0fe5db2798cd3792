"""Encoded configurations in the unit cube, and the moves that a search makes among them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nni.algorithms.hpo._gp._matern import Floats
from nni.search_space import Encoder, Kind, SearchSpace, from_unit, to_unit

_MOST_STEPPED = 16  # options of a choice that are all tried as neighbours; of more, a spread-out part
_FEW_STEPS = 8  # of a dimension that is crossed one step at a time


class UnitSpace:
    """The space of a model: columns of an :class:`~nni.search_space.Encoder`, every number in [0, 1].

    Attributes
    ----------
    encoder
        The encoder.
    reals
        Which columns are numbers without a step, shape (d,).
    numbers
        Which columns are numbers, with a step or without.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.encoder = Encoder(space)
        dimensions = self.encoder.dimensions
        constant = np.array([d.lower == d.upper for d in dimensions], dtype=bool)
        self.reals = np.array([d.kind is Kind.REAL for d in dimensions], dtype=bool) & ~constant
        self.numbers = np.array([d.kind is not Kind.CATEGORICAL for d in dimensions], dtype=bool) & ~constant
        self.stepped = self.numbers & ~self.reals
        self.choices = [d for d in dimensions if d.kind is Kind.CATEGORICAL and (d.size or 1) > 1]
        self._options = np.array([d.size or 1 for d in self.choices], dtype=float)
        self._choice_columns = np.array([d.index for d in self.choices], dtype=np.intp)
        self._nested = np.array([d.parent is not None for d in dimensions], dtype=bool)

    def __len__(self) -> int:
        return len(self.encoder)

    @property
    def has_reals(self) -> bool:
        """Whether there are numbers to follow a gradient with."""
        return bool(self.reals.any())

    @property
    def has_steps(self) -> bool:
        """Whether there are columns with neighbours."""
        return bool(self.stepped.any()) or bool(self.choices)

    def encode(self, configurations: list[dict[str, object]]) -> Floats:
        """Return rows, shape (n, d), of configurations."""
        return to_unit(self.encoder, self.encoder.encode(configurations))

    def decode(self, row: Floats) -> dict[str, object]:
        """Return the configuration of a row, shape (d,)."""
        return self.encoder.decode(from_unit(self.encoder, row[None]))[0]

    def snap(self, rows: Floats) -> Floats:
        """Move complete rows to what configurations can have; columns that are not active become NaN."""
        if not self.stepped.any():
            return self.encoder.blank(rows) if self._nested.any() else rows
        snapped = to_unit(self.encoder, self.encoder.snap(from_unit(self.encoder, rows)))
        return np.where(self.reals & ~np.isnan(snapped), rows, snapped)  # as they are: rounding errors are no steps

    def scatter(self, uniform: Floats, fixed: Mapping[int, float] | None = None) -> Floats:
        """Turn points of the unit cube, shape (n, d), into rows that are distributed like the prior.

        Columns that are ``fixed`` get their given coordinate.
        """
        rows = uniform.copy()
        rows[:, self._choice_columns] = np.floor(rows[:, self._choice_columns] * self._options)
        for column, value in (fixed or {}).items():
            rows[:, column] = value
        return self.snap(rows)

    def sample(self, n: int, rng: np.random.Generator, fixed: Mapping[int, float] | None = None) -> Floats:
        """Draw rows from the prior; columns that are ``fixed`` get their given coordinate."""
        return self.scatter(rng.random((n, len(self))), fixed)

    def mutate(self, rows: Floats, spread: Floats, share: Floats, rng: np.random.Generator) -> Floats:
        """Return rows with some dimensions changed.

        Parameters
        ----------
        rows : array, shape (n, d)
            What to change.
        spread : array, shape (n,)
            Standard deviation of the change of numbers.
        share : array, shape (n,)
            Probability that a dimension is changed at all.
        rng
            For the draws.
        """
        full = self.filled(rows, rng)
        changed = rng.random(full.shape) < share[:, None]
        offset = rng.standard_normal(full.shape) * spread[:, None]
        mutants = np.where(changed & self.numbers, np.clip(full + offset, 0, 1), full)
        return self.snap(self._change_options(mutants, np.where(share < 1, 1.0, 0.3), rng))

    def filled(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Return rows with draws from the prior where they are not active, for the case that they become so."""
        return np.where(np.isnan(rows), self._draws(len(rows), rng), rows) if self._nested.any() else rows.copy()

    def _draws(self, n: int, rng: np.random.Generator) -> Floats:
        draws = rng.random((n, len(self)))
        draws[:, self._choice_columns] = np.floor(draws[:, self._choice_columns] * self._options)
        return draws

    def _change_options(self, rows: Floats, changes: Floats, rng: np.random.Generator) -> Floats:
        if not self.choices:
            return rows
        columns = self._choice_columns
        changed = rng.random((len(rows), len(columns))) < changes[:, None] / len(columns)
        fresh = np.floor(rng.random(changed.shape) * self._options)
        rows[:, columns] = np.where(changed, fresh, rows[:, columns])
        return rows

    def neighbours(self, rows: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Return rows that differ in one dimension with steps, and which of ``rows`` each belongs to."""
        owners, found = [], []
        everyone = np.arange(len(rows), dtype=np.intp)
        bins = self._bins(rows) if self.stepped.any() else None
        for column in np.flatnonzero(self.stepped):
            for move in self._moves(rows, bins, int(column)):
                inside = ~np.isnan(move)
                changed = rows[inside].copy()
                changed[:, column] = move[inside]
                owners.append(everyone[inside])
                found.append(changed)
        for d in self.choices:
            for option in _spread_out(d.size or 1):
                differs = ~np.isnan(rows[:, d.index]) & (rows[:, d.index] != option)
                changed = rows[differs].copy()
                changed[:, d.index] = option
                owners.append(everyone[differs])
                found.append(changed)
        if not found:
            return np.empty(0, dtype=np.intp), np.empty((0, rows.shape[1]))
        # A branch that is entered starts from the middle of its dimensions.
        complete = np.concatenate(found)
        complete = np.where(np.isnan(complete), self._middle(), complete)
        return np.concatenate(owners), self.snap(complete)

    def _middle(self) -> Floats:
        middle = np.full(len(self), 0.5)
        middle[self._choice_columns] = 0.0
        return middle

    def _bins(self, rows: Floats) -> tuple[Floats, Floats]:
        below, above = self.encoder.edges(from_unit(self.encoder, rows))
        normal = np.isinf(self.encoder.scale.upper)
        return np.where(normal, ndtr(below), below), np.where(normal, ndtr(above), above)

    def _moves(self, rows: Floats, bins: tuple[Floats, Floats] | None, column: int) -> list[Floats]:
        """Return where a stepped column can go: one step up and down, and further where there are many steps."""
        assert bins is not None
        low, high = bins[0][:, column], bins[1][:, column]
        nudge = np.maximum(0.01 * (high - low), 1e-6)
        moves = [high + nudge, low - nudge]
        if (self.encoder.dimensions[column].size or np.inf) > _FEW_STEPS:
            here = rows[:, column]
            moves += [here + 0.05, here - 0.05, here + 0.2, here - 0.2]
        return [np.where((move >= 0) & (move <= 1), move, np.nan) for move in moves]

    def distance(self, a: Floats, b: Floats) -> float:
        """Return the largest difference of two rows in any dimension; 1 where options or branches differ."""
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return 1.0
        gap = np.abs(a - b)
        gap[self._choice_columns] = gap[self._choice_columns] > 0
        return float(np.nanmax(gap, initial=0.0))


def _spread_out(options: int) -> list[int]:
    """Return all options, or of many some."""
    return sorted(set(np.linspace(0, options - 1, min(options, _MOST_STEPPED)).astype(int).tolist()))
