"""Reading a reported metric: a number, or a dict with the key ``default`` (HPO-011)."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from nni.common.errors import NniError


class MetricError(NniError, ValueError):
    """A metric that no built-in algorithm can read (HPO-445)."""


def scalar(value: Any, reporter: str) -> float:
    """Return the number in a reported metric.

    Parameters
    ----------
    value
        What the trial reported.
    reporter
        Who reported it, for the error text: ``parameter 7``, ``trial MoXrp``.

    Returns
    -------
    float
        NaN and infinities are passed on; what they mean is the algorithm's to say.

    Raises
    ------
    MetricError
        If there is no number in it.
    """
    number = value
    if isinstance(value, Mapping):
        if "default" not in value:
            keys = ", ".join(repr(key) for key in value) or "none"
            raise MetricError(f"{reporter}: a metric that is a dict needs the key 'default' (its keys: {keys})")
        number = value["default"]
    if not isinstance(number, Real) or isinstance(number, bool):
        raise MetricError(f"{reporter}: expected a number or a dict with a number under 'default', got {value!r}")
    return float(number)


def sign(optimize_mode: str) -> float:
    """Return what to multiply a metric with so that smaller is better."""
    return -1.0 if optimize_mode == "maximize" else 1.0
