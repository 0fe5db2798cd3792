"""How the command line talks: prefixed lines, tables, JSON, durations that a person reads."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPE_WIDTH = 200
_STYLES = {
    "RUNNING": "green",
    "SUCCEEDED": "cyan",
    "DONE": "cyan",
    "NO_MORE_TRIAL": "cyan",
    "TUNER_NO_MORE_TRIAL": "cyan",
    "INITIALIZED": "yellow",
    "WAITING": "yellow",
    "STOPPING": "yellow",
    "EARLY_STOPPED": "yellow",
    "ERROR": "bold red",
    "FAILED": "red",
    "UNKNOWN": "red",
    "USER_CANCELED": "dim",
    "SYS_CANCELED": "dim",
    "STOPPED": "dim",
    "VIEWED": "blue",
}


def info(text: str = "") -> None:
    """Print a line of progress."""
    typer.echo(typer.style("INFO: ", fg=typer.colors.GREEN) + text)


def notice(text: str) -> None:
    """Print a remark beside the output, so that the output stays fit for a pipe."""
    typer.echo(typer.style("INFO: ", fg=typer.colors.GREEN) + text, err=True)


def warning(text: str) -> None:
    """Print a warning beside the output."""
    typer.echo(typer.style("WARNING: ", fg=typer.colors.YELLOW) + text, err=True)


def error(text: str) -> None:
    """Print an error."""
    typer.echo(typer.style("ERROR: ", fg=typer.colors.RED) + text, err=True)


def print_json(data: Any) -> None:
    """Print JSON for other programs."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def console() -> Console:
    """Return a console as wide as the terminal; a pipe gets wide lines, because nothing may be cut off there."""
    from rich.console import Console

    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=_PIPE_WIDTH if wide else None, highlight=False, soft_wrap=False)


def table() -> Table:
    """Return an empty table in the house's style."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)


def status(name: str) -> str:
    """Return a status in its colour, as rich markup."""
    style = _STYLES.get(name)
    return f"[{style}]{name}[/]" if style else name


def duration(seconds: float | None) -> str:
    """Write a duration as a person would: ``0.4s``, ``47s``, ``3m 20s``, ``5h 02m``, ``2d 07h``."""
    if seconds is None:
        return "-"
    if 0 < seconds < 10:
        return f"{seconds:.1f}s"
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {whole % 60:02}s" if minutes else f"{whole}s"


def span(start: int | None, end: int | None) -> float | None:
    """Return the seconds between two epoch-millisecond times, up to now where there is no end."""
    if start is None:
        return None
    return ((end or time.time() * 1000) - start) / 1000


def moment(milliseconds: int | None) -> str:
    """Write a time in local time: ``14:03:20`` today, ``Nov 20 14:03`` this year, else ``2026-11-20``."""
    if milliseconds is None:
        return "-"
    then, now = time.localtime(milliseconds / 1000), time.localtime()
    if then[:3] == now[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%b %d %H:%M" if then.tm_year == now.tm_year else "%Y-%m-%d", then)


def number(value: Any) -> str:
    """Write a metric: six significant digits; what is no number as JSON."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
