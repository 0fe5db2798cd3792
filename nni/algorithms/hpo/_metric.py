"""Reading a reported metric: a number, or a dict with the key ``default`` (HPO-011)."""

from __future__ import annotations

from typing import Any

from nni.utils import MetricError, extract_scalar_reward

__all__ = ["MetricError", "scalar", "sign"]


def scalar(value: Any, reporter: str) -> float:
    """Return the number in a reported metric; NaN and infinities are passed on.

    Parameters
    ----------
    value
        What the trial reported.
    reporter
        Who reported it, for the error text: ``parameter 7``, ``trial MoXrp``.

    Raises
    ------
    MetricError
        If there is no number in it (HPO-445).
    """
    try:
        return extract_scalar_reward(value)
    except MetricError as error:
        raise MetricError(f"{reporter}: {error}") from None


def sign(optimize_mode: str) -> float:
    """Return what to multiply a metric with so that smaller is better."""
    return -1.0 if optimize_mode == "maximize" else 1.0
