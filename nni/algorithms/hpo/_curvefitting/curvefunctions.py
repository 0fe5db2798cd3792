"""Twelve families of increasing, saturating learning curves (HPO-375).

Eleven are those of T. Domhan, J. T. Springenberg and F. Hutter, "Speeding up Automatic Hyperparameter Optimization of
Deep Neural Networks by Extrapolation of Learning Curves", IJCAI 2015, table 1; the twelfth is the Gompertz curve.

Every family is written in unconstrained parameters: what has to be positive is the exponential of its parameter. So an
unconstrained least-squares fit cannot leave the family, and those with a rate and an amplitude cannot decrease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"

_LARGEST_EXPONENT = 50.0  # exp(50) = 5e21: beyond any curve, and products of two of them are still finite


def _exp(exponent: Array | float) -> Array:
    return np.asarray(np.exp(np.clip(exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))


def _vapor_pressure(x: Array, p: Array) -> Array:
    return np.asarray(_exp(p[0] + p[1] / x + p[2] * np.log(x)))


def _pow3(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1] - _exp(p[2]) * np.log(x)))


def _log_log_linear(x: Array, p: Array) -> Array:
    return np.asarray(np.log(_exp(p[0]) * np.log(x) + _exp(p[1])))


def _hill3(x: Array, p: Array) -> Array:
    return np.asarray(p[0] / (1 + _exp(_exp(p[1]) * (p[2] - np.log(x)))))


def _log_power(x: Array, p: Array) -> Array:
    return np.asarray(p[0] / (1 + _exp(p[2] * (np.log(x) - p[1]))))


def _pow4(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(-_exp(p[3]) * np.log(_exp(p[1]) * x + _exp(p[2]))))


def _mmf(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1]) / (1 + _exp(_exp(p[3]) * (np.log(x) - p[2]))))


def _exp4(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1] - _exp(p[2] + _exp(p[3]) * np.log(x))))


def _janoschek(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1]) * _exp(-_exp(p[2]) * _exp(_exp(p[3]) * np.log(x))))


def _weibull(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1]) * _exp(-_exp(_exp(p[3]) * (np.log(x) - p[2]))))


def _ilog2(x: Array, p: Array) -> Array:
    return np.asarray(p[0] - _exp(p[1]) / np.log(x + 1))


def _gompertz(x: Array, p: Array) -> Array:
    return np.asarray(p[0] * _exp(-_exp(p[1] - _exp(p[2]) * x)))


class Curve(NamedTuple):
    """A family of curves.

    Attributes
    ----------
    name
        As in the paper.
    function
        Value at the steps x (shape n, counted from 1) under parameters.
    starts
        Parameters where a fit may begin, for values between 0 and 1: of a curve that rises early, and of one that
        rises late.
    """

    name: str
    function: Callable[[Array, Array], Array]
    starts: tuple[tuple[float, ...], ...]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.starts[0])


CURVES = (
    Curve("vapor pressure", _vapor_pressure, ((0.0, -2.0, 0.0), (-1.0, -1.0, 0.3))),
    Curve("pow3", _pow3, ((1.0, 0.0, 0.0), (1.2, 0.0, -1.5))),
    Curve("log log linear", _log_log_linear, ((-1.0, 0.3), (-2.0, 0.1))),
    Curve("Hill3", _hill3, ((1.0, 0.0, 0.7), (1.2, 0.7, 2.0))),
    Curve("log power", _log_power, ((1.0, 0.7, -1.3), (1.2, 2.0, -1.0))),
    Curve("pow4", _pow4, ((1.0, -0.7, 0.0, 0.3), (1.5, -2.0, 0.0, -0.7))),
    Curve("MMF", _mmf, ((1.0, 0.0, 0.7, 0.5), (1.2, 0.0, 2.0, 0.0))),
    Curve("exp4", _exp4, ((1.0, 0.0, -1.0, 0.0), (1.1, 0.0, -2.5, 0.0))),
    Curve("Janoschek", _janoschek, ((1.0, 0.0, -1.0, -0.2), (1.1, 0.0, -2.5, 0.2))),
    Curve("Weibull", _weibull, ((1.0, 0.0, 1.0, 0.0), (1.1, 0.0, 2.5, 0.3))),
    Curve("ilog2", _ilog2, ((1.0, -0.7), (1.3, -0.3))),
    Curve("Gompertz", _gompertz, ((1.0, 0.7, -0.7), (1.1, 1.0, -2.0))),
)
"""In the order of the paper's table 1, then the one that is not in it.

The paper's Janoschek, Weibull and exp4 describe the same shapes with different parameters. They are kept apart as they
are there: a fit that fails in one may succeed in another, and the ensemble weighs the shape by their number.
``ilog2`` is taken at x + 1, as log 1 = 0 is its divisor at the first step.
"""
