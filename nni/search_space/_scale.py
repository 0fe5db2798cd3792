"""From the scale of a prior to values and back: the one place with the documented formulae (HPO-043 … HPO-050).

Three scales: *value* is what a trial gets; *latent* is the value, or its logarithm for log types; *internal* is latent
shifted and stretched so that a bounded prior is uniform on [0, 1] and a normal one standard normal.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nni.search_space._parameters import Choice, Normal, Parameter, RandInt, Uniform

Floats = NDArray[np.float64]
_HUGE = sys.float_info.max
_EXACT = 2.0**52  # above it, k and k + 1/2 are the same number


@dataclass(frozen=True)
class Scale:
    """The numbers of the formulae; floats for one parameter, arrays for several side by side.

    Attributes
    ----------
    origin, width
        ``latent = origin + width * internal``.
    lower, upper
        Bounds on the internal scale; infinite for normal priors.
    log
        1 for log types, else 0.
    q, first, last
        Step and range of bins; NaN, and infinite, where there is none.
    low, high
        Bounds on the value scale.
    """

    origin: Any
    width: Any
    lower: Any
    upper: Any
    log: Any
    q: Any
    first: Any
    last: Any
    low: Any
    high: Any

    @classmethod
    def of(cls, parameter: Parameter) -> Scale:
        """Return the scale of one parameter. A choice is its option index, on all three scales."""
        if isinstance(parameter, Choice):
            last = parameter.size - 1
            return cls(0.0, 1.0, 0.0, last, 0.0, 1.0, 0, last, 0.0, last)
        if isinstance(parameter, RandInt):  # as a quantised uniform whose bins are all of width 1
            first, last = parameter.low, parameter.high - 1
            return cls(first - 0.5, parameter.size, 0.0, 1.0, 0.0, 1.0, first, last, first, last)
        if isinstance(parameter, Uniform):
            return cls._of_uniform(parameter)
        if isinstance(parameter, Normal):
            q = math.nan if parameter.q is None else parameter.q
            low = 0.0 if parameter.log else -_HUGE
            inf = math.inf
            return cls(parameter.mu, parameter.sigma, -inf, inf, float(parameter.log), q, -inf, inf, low, _HUGE)
        raise TypeError(f"{parameter.path}: type {parameter.type} has no scale; it is known to custom tuners only")

    @classmethod
    def _of_uniform(cls, parameter: Uniform) -> Scale:
        low, high = parameter.low, parameter.high
        start, end = (math.log(low), math.log(high)) if parameter.log else (low, high)
        upper = 1.0 if end > start else 0.0  # low == high: a constant, at 0
        width = (end - start) or 1.0
        q = math.nan if parameter.q is None else parameter.q
        first = -math.inf if parameter.first_bin is None else parameter.first_bin
        last = math.inf if parameter.last_bin is None else parameter.last_bin
        return cls(start, width, 0.0, upper, float(parameter.log), q, first, last, low, high)

    @classmethod
    def stack(cls, scales: Sequence[Scale]) -> Scale:
        """Put scales side by side, one array entry each."""
        return cls(*(np.array([getattr(scale, field.name) for scale in scales], dtype=float) for field in fields(cls)))

    def take(self, columns: Any) -> Scale:
        """Return the scales of some of the columns."""
        return Scale(*(getattr(self, field.name)[columns] for field in fields(self)))

    def values(self, internal: Any) -> Floats:
        """Turn internal coordinates into values: stretch, exp, round to multiples of q, clip."""
        with np.errstate(over="ignore", invalid="ignore"):
            latent = self.origin + self.width * internal
            values = np.where(self.log > 0, np.exp(np.where(self.log > 0, latent, 0.0)), latent)
            steps = np.clip(np.rint(values / self.q), self.first, self.last)
            values = np.where(np.isnan(self.q), values, steps * self.q)
        return np.asarray(np.clip(values, self.low, self.high) + 0.0)  # + 0.0 makes -0.0 a plain zero

    def internal(self, values: Any) -> Floats:
        """Turn values into internal coordinates; a quantised log value of 0 stands in the middle of its half bin."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            positive = np.where((values == 0) & (self.log > 0), self.q / 4, values)
            latent = np.where(self.log > 0, np.log(np.where(self.log > 0, positive, 1.0)), values)
            return np.asarray(np.clip((latent - self.origin) / self.width, self.lower, self.upper))

    def edges(self, values: Any) -> tuple[Floats, Floats]:
        """Return the internal coordinates between which draws are rounded to these values.

        NaN without a step, and for values so large that floating-point numbers no longer tell bins apart.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            steps = np.clip(np.rint(values / self.q), self.first, self.last)
            steps = np.where(np.abs(steps) < _EXACT, steps, np.nan)
            below = self._edge((steps - 0.5) * self.q)
            above = self._edge((steps + 0.5) * self.q)
        below = np.where(steps <= self.first, self.lower, below)
        above = np.where(steps >= self.last, self.upper, above)
        lost = (below >= above) & (self.lower < self.upper)  # logarithms tell large neighbours apart even less
        return np.where(lost, np.nan, below), np.where(lost, np.nan, above)

    def _edge(self, values: Floats) -> Floats:
        latent = np.where(self.log > 0, np.log(np.where(self.log > 0, np.maximum(values, 0.0), 1.0)), values)
        return np.asarray(np.clip((latent - self.origin) / self.width, self.lower, self.upper))
