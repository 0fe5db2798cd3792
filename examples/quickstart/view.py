"""What `launch.py` shows in the terminal while the experiment runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
TOP = 5


@dataclass(frozen=True)
class Trial:
    number: int
    params: dict[str, Any]
    score: float


@dataclass
class Progress:
    """How far the experiment has come."""

    total: int
    default_score: float
    finished: list[Trial] = field(default_factory=list)  # in the order in which they ended
    running: dict[int, int] = field(default_factory=dict)  # trial number -> folds that are done
    failed: int = 0
    seconds: float = 0.0

    @property
    def ranking(self) -> list[Trial]:
        return sorted(self.finished, key=lambda trial: -trial.score)

    @property
    def best_so_far(self) -> list[float]:
        scores = [trial.score for trial in self.finished]
        return [max(scores[: count + 1]) for count in range(len(scores))]


def live_view(progress: Progress, title: str, url: str) -> RenderableType:
    """Return the picture of an experiment that is running; 80 columns and 24 lines are enough for it."""
    parts = [bar(progress), *headline(progress), Text(), ranking(progress)]
    return Panel(Group(*parts), title=title, subtitle=f"[dim]in the browser: [/dim]{url}", padding=1)


def bar(progress: Progress) -> RenderableType:
    done = len(progress.finished) + progress.failed
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    text = f"[bold]{done}[/bold]/{progress.total} trials"
    failed = f" [red]{progress.failed} failed[/red]" if progress.failed else ""
    line.add_row(text + failed, ProgressBar(progress.total, done), time_left(progress, done))
    return line


def time_left(progress: Progress, done: int) -> str:
    passed = clock(progress.seconds)
    if not 2 <= done < progress.total:
        return passed
    return f"{passed} [dim]about {clock(progress.seconds / done * (progress.total - done))} to go[/dim]"


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def headline(progress: Progress) -> list[RenderableType]:
    lines = Table.grid(padding=(0, 2))
    lines.add_row("[dim]running[/dim]", running(progress) or "[dim]-[/dim]")
    lines.add_row("[dim]each trial[/dim]", sparkline([trial.score for trial in progress.finished]))
    lines.add_row("[dim]best so far[/dim]", f"[green]{sparkline(progress.best_so_far)}[/green]")
    return [lines, Text(), Text.from_markup(verdict(progress))]


def running(progress: Progress) -> str:
    return "   ".join(f"trial {number} {'■' * folds}{'□' * (5 - folds)}" for number, folds in progress.running.items())


def verdict(progress: Progress) -> str:
    default = f"scikit-learn's defaults R² {progress.default_score:.3f}"
    if not progress.finished:
        return default
    best = progress.ranking[0].score
    colour = "green" if best > progress.default_score else "yellow"
    gain = best - progress.default_score
    return f"{default}   best so far [bold {colour}]R² {best:.3f}[/bold {colour}]   [{colour}]{gain:+.3f}[/{colour}]"


def sparkline(values: list[float], width: int = 50) -> str:
    """Return one bar for each value, or for each of `width` values at equal distances.

    The lowest bar stands for the lower quartile and everything below: one bad trial does not flatten all others.
    """
    if len(values) > width:
        values = [values[index * (len(values) - 1) // (width - 1)] for index in range(width)]
    if not values:
        return ""
    low, high = sorted(values)[len(values) // 4], max(values)
    if high == low:
        return BARS[0] * len(values)
    steps = len(BARS) - 1
    return "".join(BARS[max(0, round((value - low) / (high - low) * steps))] for value in values)


def ranking(progress: Progress) -> RenderableType:
    table = Table(box=None, padding=(0, 0, 0, 1), header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("R²", justify="right")
    best = progress.ranking[:TOP]
    for name, value in best[0].params.items() if best else ():
        # Names stand in two lines, and words give way to numbers where the terminal is narrow.
        number = not isinstance(value, str)
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=number, overflow="ellipsis")
    for place, trial in enumerate(best):
        values = [shorten(value) for value in trial.params.values()]
        table.add_row(str(trial.number), f"{trial.score:.3f}", *values, style="bold green" if place == 0 else "")
    return table


def shorten(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) >= 2 else f"{value:.3g}"
    return str(value)


def comparison(defaults: dict[str, Any], best: Trial, scores: dict[str, tuple[float, float]]) -> RenderableType:
    """Return the table that ends the run: default and tuned side by side."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("")
    table.add_column("default", justify="right")
    table.add_column(f"trial {best.number}", justify="right")
    table.add_column("")
    for name, (before, after) in scores.items():
        colour = "green" if after > before else "yellow"
        gain = f"[{colour}]{after - before:+.3f}[/{colour}]"
        table.add_row(name, f"{before:.3f}", f"[bold {colour}]{after:.3f}[/bold {colour}]", gain)
    table.add_section()
    for name, value in defaults.items():
        table.add_row(f"[dim]{name}[/dim]", f"[dim]{shorten(value)}[/dim]", shorten(best.params[name]))
    return table
