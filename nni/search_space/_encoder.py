"""Configurations as rows of numbers, for every tuner with a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice, Parameter, RandInt
from nni.search_space._scale import Floats, Scale
from nni.search_space._space import SearchSpace


class Kind(Enum):
    """How the numbers of a dimension are to be read."""

    CATEGORICAL = "categorical"  # index of an option; no order
    INTEGER = "integer"  # randint; ordered or not is the tuner's to say (HPO-042)
    QUANTISED = "quantised"  # rounded to multiples of q
    REAL = "real"


@dataclass(frozen=True)
class Dimension:
    """One column of the encoded configurations.

    Attributes
    ----------
    index
        The column.
    name
        Names from the top of the space, for display: ``layer0.conv.kernel``.
    parameter
        The parameter behind it.
    kind
        How to read its numbers.
    size
        Number of values; None when there is no end to them.
    lower, upper
        Bounds of the internal scale: 0 and 1 for bounded priors, 0 and ``size - 1`` for categorical dimensions,
        infinite for normal priors (which are standard normal on the internal scale).
    parent, parent_option
        The column of the choice, and the index of its option, under which this one is active; None at the top.
    """

    index: int
    name: str
    parameter: Parameter
    kind: Kind
    size: int | None
    lower: float
    upper: float
    parent: int | None
    parent_option: int | None


class Encoder:
    """Turns configurations into an array and back.

    Row = configuration, column = :class:`Dimension`; a column that is not active in a configuration is NaN there. The
    internal scale is that of the prior: log types in logarithms, bounded priors on [0, 1], normal ones standard
    normal, choices as the index of their option.

    Parameters
    ----------
    space
        The space. ``randint`` beyond 2**52 values loses its last digits.

    Attributes
    ----------
    dimensions : tuple of Dimension
        The columns; a parent stands before its dependants.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        found: list[Dimension] = []
        _collect(space, "", None, None, found)
        self.dimensions = tuple(found)
        scales = [Scale.of(dimension.parameter) for dimension in self.dimensions]
        self._scale = Scale.stack(scales)
        self._columns = {dimension.parameter.path: dimension.index for dimension in self.dimensions}
        self._nested = [d for d in self.dimensions if d.parent is not None]
        self._unbounded = np.isinf(self._scale.upper)
        self._categorical = np.array([d.kind is Kind.CATEGORICAL for d in self.dimensions], dtype=bool)
        self._options = np.array([d.size for d in self.dimensions if d.kind is Kind.CATEGORICAL], dtype=float)

    def __len__(self) -> int:
        return len(self.dimensions)

    def encode(self, configurations: Iterable[Mapping[str, Any]]) -> Floats:
        """Encode configurations of the space.

        Returns
        -------
        array, shape (n, d)
            Internal coordinates; NaN where inactive.

        Raises
        ------
        SearchSpaceError
            If an option is none of its choice's. Numbers are clipped to their bounds.
        """
        values = [self._row(configuration) for configuration in configurations]
        return self._scale.internal(np.array(values, dtype=float).reshape(len(values), len(self)))

    def decode(self, rows: Floats) -> list[dict[str, Any]]:
        """Decode rows into configurations; bounds, rounding and types hold whatever the numbers are.

        Parameters
        ----------
        rows : array, shape (n, d)
            Internal coordinates. Inactive columns are not read.
        """
        values = self._scale.values(rows).tolist()
        return [self._configuration(self.space, row) for row in values]

    def snap(self, rows: Floats) -> Floats:
        """Move rows to the nearest points that a configuration can have, and blank inactive columns."""
        return self.blank(self._scale.internal(self._scale.values(rows)))

    def blank(self, rows: Floats) -> Floats:
        """Return rows with NaN in the columns whose branch is not taken."""
        rows = rows.copy()
        for dimension in self._nested:
            rows[rows[:, dimension.parent] != dimension.parent_option, dimension.index] = np.nan
        return rows

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw ``n`` rows from the prior, snapped."""
        draws = rng.random((n, len(self)))
        if self._unbounded.any():
            draws[:, self._unbounded] = rng.standard_normal((n, int(self._unbounded.sum())))
        draws[:, self._categorical] = np.floor(draws[:, self._categorical] * self._options)
        return self.snap(draws)

    def edges(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return the ends of the bins that rows are in, on the internal scale; NaN for real dimensions (HPO-052)."""
        return self._scale.edges(self._scale.values(rows))

    @property
    def scale(self) -> Scale:
        """The scales of all columns, side by side."""
        return self._scale

    def _row(self, configuration: Mapping[str, Any]) -> list[float]:
        row = [math.nan] * len(self)
        self._fill(self.space, configuration, row)
        return row

    def _fill(self, space: SearchSpace, configuration: Mapping[str, Any], row: list[float]) -> None:
        for name, parameter in space.items():
            value = configuration[name]
            column = self._columns[parameter.path]
            if not isinstance(parameter, Choice):
                row[column] = value
                continue
            option = parameter.index_of(value)
            if option is None:
                raise SearchSpaceError(parameter.path, f"{value!r} is none of the options")
            row[column] = option
            if option in parameter.branches:
                self._fill(parameter.branches[option], value, row)

    def _configuration(self, space: SearchSpace, row: list[float]) -> dict[str, Any]:
        return {name: self._value(parameter, row) for name, parameter in space.items()}

    def _value(self, parameter: Parameter, row: list[float]) -> Any:
        number = row[self._columns[parameter.path]]
        if isinstance(parameter, Choice):
            option = int(number)
            if option not in parameter.branches:
                return parameter.options[option]
            return {"_name": parameter.value_at(option), **self._configuration(parameter.branches[option], row)}
        return int(number) if isinstance(parameter, RandInt) else number


def _collect(space: SearchSpace, prefix: str, parent: int | None, option: int | None, found: list[Dimension]) -> None:
    for name, parameter in space.items():
        scale = Scale.of(parameter)
        index = len(found)
        found.append(
            Dimension(
                index,
                prefix + name,
                parameter,
                _kind(parameter),
                parameter.size,
                float(scale.lower),
                float(scale.upper),
                parent,
                option,
            )
        )
        if isinstance(parameter, Choice):
            for branch, sub in parameter.branches.items():
                _collect(sub, f"{prefix}{name}.{parameter.value_at(branch)}.", index, branch, found)


def _kind(parameter: Parameter) -> Kind:
    if isinstance(parameter, Choice):
        return Kind.CATEGORICAL
    if isinstance(parameter, RandInt):
        return Kind.INTEGER
    return Kind.REAL if getattr(parameter, "q", None) is None else Kind.QUANTISED
