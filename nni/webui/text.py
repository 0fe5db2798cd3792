"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""


def duration(seconds: float) -> str:
    """Return seconds as ``2h 5m``, ``4m 10s`` or ``3s``; never negative (CHG-283)."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {left}s" if minutes else f"{left}s"


def clock(milliseconds: Any) -> str:
    """Return epoch milliseconds as a local date and time."""
    if not isinstance(milliseconds, (int, float)) or not milliseconds:
        return NOTHING
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def metric(value: Any) -> str:
    """Return a result with six significant digits."""
    return f"{value:.6g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
