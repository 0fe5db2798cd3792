"""What ``nnictl top`` shows of each experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nni.experiment.data import default_metric
from nni.tools.nnictl import _describe, _output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from nni.experiment.data import ExperimentSummary
    from nni.store.registry import RegistryEntry

_MEDIUM, _WIDE = 100, 140
_BAR_WIDTH = 20


@dataclass(frozen=True)
class Sight:
    """One look at one experiment: its summary, or why there is none."""

    entry: RegistryEntry
    summary: ExperimentSummary | None
    fault: str = ""


def table(sights: Iterable[Sight], width: int) -> Table:
    """Return one row for each experiment; a wide terminal gets bars, the best trial, and the address too."""
    drawn = _output.table()
    drawn.padding = (0, 1, 0, 0)
    for name in ("ID", "Name", "Status"):
        drawn.add_column(name, no_wrap=name != "Name", max_width=32)  # the name gives way to all others
    if width >= _MEDIUM:
        drawn.add_column("", width=_BAR_WIDTH)
    for name in ("Trials", "Running", "Best", *(("Trial",) if width >= _MEDIUM else ()), "Elapsed"):
        drawn.add_column(name, no_wrap=True, justify="left" if name == "Trial" else "right")
    if width >= _WIDE:
        drawn.add_column("Web UI", no_wrap=True)
    for sight in sights:
        drawn.add_row(*_row(sight, width))
    return drawn


def _row(sight: Sight, width: int) -> list[RenderableType]:
    entry, summary = sight.entry, sight.summary
    bar: list[RenderableType] = [_bar(summary)] if width >= _MEDIUM else []
    figures = _figures(summary) if summary else ["-"] * 5
    if width < _MEDIUM:
        del figures[3]
    status = summary["status"] if summary else entry.status
    address: list[RenderableType] = [_plain(next(iter(entry.urls), "-"))] if width >= _WIDE else []
    return [entry.id, _describe.giving_way(entry.name or "-"), _output.status(status), *bar, *figures, *address]


def _figures(summary: ExperimentSummary) -> list[RenderableType]:
    """Return trials ended and wanted, how many run, the best result and its trial, and the time it took so far."""
    best = summary["best"]
    return [
        _describe.done(summary),
        str(summary["counts"].get("RUNNING", 0)),
        _output.number(default_metric(best["value"])) if best else "-",
        best["id"] if best else "-",
        _output.duration(summary["execDuration"]),
    ]


def _bar(summary: ExperimentSummary | None) -> RenderableType:
    from rich.progress_bar import ProgressBar

    if summary is None or not summary["maxTrialNumber"]:
        return ""
    total, completed = summary["maxTrialNumber"], _describe.ended(summary)
    return ProgressBar(total, completed, _BAR_WIDTH, complete_style="green", finished_style="cyan")


def remarks(sights: Iterable[Sight]) -> Iterator[Text]:
    """Yield, below the table, what is wrong with an experiment, or why no trial starts in it."""
    from rich.text import Text

    for sight in sights:
        fault = sight.fault or "; ".join(dict.fromkeys(sight.summary["errors"]) if sight.summary else ())
        remark = fault or (sight.summary["waiting"] if sight.summary else None)
        if remark:
            yield Text.assemble((f"{sight.entry.id}  ", "bold"), (remark, "red" if fault else "dim"))


def _plain(text: str) -> Text:
    from rich.text import Text

    return Text(text)
