"""Durations as they are written in configurations and on the command line: ``10m``, ``0.5h`` (PLT-073)."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from nni.common.errors import NniError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_LOOSE = re.compile(r"([0-9]+(?:\.[0-9]+)?[smhd])(?:(?:ec|in|r|our|ay)[a-z]*)?")
_GRAMMAR = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd])")


class DurationError(NniError, ValueError):
    """A text that is not a duration."""


def parse_duration(text: object) -> float:
    """
    Return the seconds of a duration.

    Parameters
    ----------
    text
        A number (decimals allowed) directly followed by ``s``, ``m``, ``h`` or ``d``.

    Returns
    -------
    float
        Seconds, finite and not negative.

    Raises
    ------
    DurationError
        For anything else. Spaces and a missing unit are refused, because ``5`` could be anything (PLT-393);
        the message shows what would be right.

    Examples
    --------
    >>> parse_duration("0.5h")
    1800.0
    """
    match = _GRAMMAR.fullmatch(text) if isinstance(text, str) else None
    seconds = float(match[1]) * SECONDS[match[2]] if match else math.nan
    if not math.isfinite(seconds):
        raise DurationError(
            f"expected a number directly followed by s, m, h or d, such as {_suggestion(text)!r}, got {_shown(text)}"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """
    Write seconds in the grammar of `parse_duration`, in the largest unit that keeps them whole.

    Parameters
    ----------
    seconds
        Finite and not negative.

    Raises
    ------
    DurationError
        For a negative or non-finite number.

    Examples
    --------
    >>> format_duration(5400), format_duration(0.25)
    ('90m', '0.25s')
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise DurationError(f"a duration is a finite number of seconds that is not negative, got {seconds!r}")
    if seconds != int(seconds):
        return f"{Decimal(repr(seconds)):f}s"  # the grammar has no exponents, and repr() writes 1e-05
    whole = int(seconds)
    unit = next((name for name in "dhm" if whole and whole % SECONDS[name] == 0), "s")
    return f"{whole // SECONDS[unit]}{unit}"


def _suggestion(given: object) -> str:
    """Return what the writer most likely meant: the number with a unit, or the documented examples."""
    compact = re.sub(r"\s", "", str(given)).lower()
    if isinstance(given, str) and (meant := _LOOSE.fullmatch(compact)):
        return meant[1]
    if not isinstance(given, bool) and re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", compact):
        return f"{compact}s"
    return "10m"


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."
