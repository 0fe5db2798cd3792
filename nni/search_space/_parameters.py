"""The parameters of a search space: what each may be and which values it can take (HPO-040 … HPO-050)."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from nni.search_space._json_key import json_key

if TYPE_CHECKING:
    from nni.search_space._space import SearchSpace

_LARGEST = sys.float_info.max
_EDGE = 1e-9  # a bin thinner than this share of q holds nothing but rounding noise
_ON_GRID = 1e-6  # how far, as a share of q, a value may be off the grid and still be meant (HPO-053)


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number that a float can hold; ``true`` and ``false`` are not (HPO-457)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


@dataclass(frozen=True)
class Parameter:
    """One variable of a search space.

    Attributes
    ----------
    name
        Its key in the (sub-)space.
    path
        Where it is, for error texts: ``searchSpace.layer0._value[1].kernel``.
    """

    name: str
    path: str

    @property
    def type(self) -> str:
        """The documented ``_type``."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """Number of distinct values, sub-spaces of a choice not counted; None when there is no end to them."""
        return None

    def value_at(self, index: int) -> Any:
        """Return the value with this index, ``0 <= index < size``; for finite parameters only."""
        raise TypeError(f"{self.path} ({self.type}) has no enumerable values, so none at {index}")

    def index_of(self, value: Any) -> int | None:
        """Return the index of a value, or None where the parameter cannot take it; for finite parameters only."""
        raise TypeError(f"{self.path} ({self.type}) has no enumerable values, so {value!r} has no index")


@dataclass(frozen=True)
class Choice(Parameter):
    """One of several options; an option with a ``_name`` brings a sub-space with it (HPO-040, HPO-041).

    Attributes
    ----------
    options
        The options as written. Any JSON value.
    branches
        The sub-spaces of the nested options, by index of the option.
    """

    type: ClassVar[str] = "choice"
    options: tuple[Any, ...]
    branches: Mapping[int, SearchSpace] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.options)

    def value_at(self, index: int) -> Any:
        """Return an option; the ``_name`` of a nested one."""
        return self.options[index]["_name"] if index in self.branches else self.options[index]

    def index_of(self, value: Any) -> int | None:
        """Return the (first) index of an option; a nested one is recognised by its ``_name``."""
        if isinstance(value, Mapping) and "_name" in value and self.branches:
            return self._branch_index.get(value["_name"]) if isinstance(value["_name"], str) else None
        return self._option_index.get(json_key(value))

    @cached_property
    def _branch_index(self) -> dict[str, int]:
        return {self.options[index]["_name"]: index for index in self.branches}

    @cached_property
    def _option_index(self) -> dict[Hashable, int]:
        index: dict[Hashable, int] = {}
        for position, option in enumerate(self.options):
            if position not in self.branches:
                index.setdefault(json_key(option), position)
        return index

    @cached_property
    def is_numeric(self) -> bool:
        """Whether all options are numbers, as distance-based models need (HPO-085)."""
        return all(is_number(option) for option in self.options)

    @cached_property
    def distinct(self) -> tuple[int, ...]:
        """Indices of the options without repetitions: ``[1, 1, 2]`` doubles a mass, not a value."""
        return tuple(sorted((*self.branches, *self._option_index.values())))


@dataclass(frozen=True)
class RandInt(Parameter):
    """An integer ``low <= value < high`` (HPO-042)."""

    type: ClassVar[str] = "randint"
    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of integers."""
        return self.high - self.low

    def value_at(self, index: int) -> int:
        """Return ``low + index``."""
        return self.low + index

    def index_of(self, value: Any) -> int | None:
        """Return ``value - low`` for an integer (``3.0`` is one) of the range."""
        if not is_number(value) or value != int(value) or not self.low <= value < self.high:
            return None
        return int(value) - self.low


@dataclass(frozen=True)
class _Quantised(Parameter):
    """A number on a uniform or normal prior, perhaps in log scale, perhaps rounded to multiples of ``q``."""

    log: bool
    q: float | None

    prior: ClassVar[str]

    @property
    def type(self) -> str:
        """The documented name: an optional ``q``, an optional ``log``, the prior."""
        return ("q" if self.q is not None else "") + ("log" if self.log else "") + self.prior

    def bin_of(self, value: Any) -> int | None:
        """Return ``k`` of a value ``k * q`` (clipped to the bounds), or None where the value is off the grid."""
        assert self.q is not None
        if not is_number(value):
            return None
        steps = value / self.q
        if math.isinf(steps):  # there are no floats so large, so no bins
            return None
        k = round(steps)
        if self.first_bin is not None and self.last_bin is not None:
            k = min(max(k, self.first_bin), self.last_bin)
        return k if abs(self.value_of_bin(k) - value) <= _ON_GRID * self.q else None

    def value_of_bin(self, k: int) -> float:
        """Return the value of a bin; as documented, not rounded any further (HPO-053)."""
        assert self.q is not None
        return k * self.q

    @property
    def first_bin(self) -> int | None:
        """Lowest ``k`` with a mass; None when there is none."""
        return None

    @property
    def last_bin(self) -> int | None:
        """Highest ``k`` with a mass; None when there is none."""
        return None

    def contains(self, value: Any) -> bool:
        """Tell whether the parameter can take a value."""
        raise NotImplementedError


@dataclass(frozen=True)
class Uniform(_Quantised):
    """``uniform``, ``quniform``, ``loguniform``, ``qloguniform``: a number in ``[low, high]`` (HPO-043 … HPO-046).

    A quantised one takes the values ``clip(k * q, low, high)`` of every bin ``[(k - 1/2) q, (k + 1/2) q]`` that shares
    more than a point with ``[low, high]``. Bins differ in mass (HPO-052).
    """

    prior = "uniform"
    low: float
    high: float

    @cached_property
    def first_bin(self) -> int | None:
        """Lowest ``k`` whose bin has a mass."""
        return None if self.q is None else math.floor(self.low / self.q + 0.5 + _EDGE)

    @cached_property
    def last_bin(self) -> int | None:
        """Highest ``k`` whose bin has a mass."""
        if self.q is None or self.first_bin is None:
            return None
        return max(self.first_bin, math.ceil(self.high / self.q - 0.5 - _EDGE))

    @property
    def size(self) -> int | None:
        """Number of values when quantised."""
        if self.first_bin is None or self.last_bin is None:
            return None
        return self.last_bin - self.first_bin + 1

    def value_of_bin(self, k: int) -> float:
        """Return ``clip(k * q, low, high)``."""
        return min(max(super().value_of_bin(k), self.low), self.high)

    def value_at(self, index: int) -> float:
        """Return the value with this index, in ascending order."""
        if self.first_bin is None:
            return float(super().value_at(index))
        return self.value_of_bin(self.first_bin + index)

    def index_of(self, value: Any) -> int | None:
        """Return the index of a value in ascending order."""
        if self.first_bin is None:
            return super().index_of(value)
        k = self.bin_of(value)
        return None if k is None else k - self.first_bin

    def contains(self, value: Any) -> bool:
        """Tell whether a value is within the bounds (up to rounding) and on the grid."""
        if self.q is not None:
            return self.bin_of(value) is not None
        slack = 1e-12 * max(abs(self.low), abs(self.high))
        return is_number(value) and self.low - slack <= value <= self.high + slack


@dataclass(frozen=True)
class Normal(_Quantised):
    """``normal``, ``qnormal``, ``lognormal``, ``qlognormal`` (HPO-047 … HPO-050).

    ``mu`` and ``sigma`` are those of the logarithm for the log types. Unbounded, or positive for the log types; the
    quantised log type can be 0.
    """

    prior = "normal"
    mu: float
    sigma: float

    def contains(self, value: Any) -> bool:
        """Tell whether a value is a number, of the right sign, and on the grid."""
        if not is_number(value) or (self.q is not None and self.bin_of(value) is None):
            return False
        return not self.log or value > 0 or (self.q is not None and value == 0)


@dataclass(frozen=True)
class Custom(Parameter):
    """A variable of a type that only a custom tuner knows (HPO-057); carried as written."""

    custom_type: str
    value: Any

    @property
    def type(self) -> str:
        """The ``_type`` as written."""
        return self.custom_type
