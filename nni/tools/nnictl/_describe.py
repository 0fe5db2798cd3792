"""Experiments and trials in words and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.experiment.data import default_metric
from nni.tools.nnictl import _failure, _output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.table import Table
    from rich.text import Text

    from nni.experiment.data import ExperimentSummary, TrialRow
    from nni.store.registry import RegistryEntry

_MEDIUM, _WIDE = 100, 120
_ID_WIDTHS = {"ID": 8, "Trial": 5}  # what every other command needs is readable however narrow the terminal
_LONGEST = 800
_NAMED = 5
_ACCIDENT = 0.05
_NO_MORE = ("NO_MORE_TRIAL", "TUNER_NO_MORE_TRIAL", "DONE")
_FINISHED = ("SUCCEEDED", "FAILED", "EARLY_STOPPED", "USER_CANCELED")  # what counts against maxTrialNumber (PLT-083)


def experiments(entries: Iterable[RegistryEntry], width: int) -> Table:
    """Return the table of ``experiment list``; platform, URL and directory need a wide terminal."""
    from rich.markup import escape

    table = _output.table()
    for name in ("ID", "Name", "Status", *(("Platform",) if width >= _MEDIUM else ()), "Port", "Started", "Duration"):
        table.add_column(name, no_wrap=name != "Name", max_width=32, min_width=_ID_WIDTHS.get(name))
    if width >= _WIDE:
        table.add_column("Web UI", no_wrap=True)
        table.add_column("Directory")
    for entry in entries:
        live = entry.status != "STOPPED"
        took = _output.span(entry.start_time, entry.end_time) if live or entry.end_time else None
        row: list[str | Text] = [entry.id, giving_way(entry.name or "-"), _output.status(entry.status)]
        row += [entry.platform] if width >= _MEDIUM else []
        row += [str((live and entry.port) or "-"), _output.moment(entry.start_time), _output.duration(took)]
        if width >= _WIDE:
            row += [escape(next(iter(entry.urls), "-")) if live else "-", giving_way(_short(entry.directory))]
        table.add_row(*row)
    return table


def experiment(
    entry: RegistryEntry,
    summary: ExperimentSummary | None = None,
    revision: int | None = None,
    failed: TrialRow | None = None,
) -> Table:
    """Return the table of ``experiment show``; an experiment without a manager has only what the registry knows."""
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    facts: dict[str, str] = {"Experiment": f"{entry.id}  {escape(entry.name)}"}
    facts["Status"] = _output.status(summary["status"] if summary else entry.status)
    if summary:
        facts |= _live_facts(summary)
    if failed:
        facts["Failure"] = escape(_failure.reason(failed))
    facts["Started"] = _output.moment(entry.start_time)
    if entry.end_time:
        facts["Ended"] = _output.moment(entry.end_time)
    if revision is not None:
        facts["Revision"] = str(revision)
    facts |= {"Platform": entry.platform, "Directory": escape(str(entry.directory))}
    if summary and entry.status != "STOPPED":
        facts["Web UI"] = escape("   ".join(entry.urls))
    for name, text in facts.items():
        table.add_row(name, text)
    return table


def _live_facts(summary: ExperimentSummary) -> dict[str, str]:
    from rich.markup import escape

    limit = summary["maxExperimentDuration"]
    facts = {"Error": escape("\n".join(dict.fromkeys(summary["errors"])))} if summary["errors"] else {}
    if summary["waiting"] and not summary["errors"]:
        facts["Because" if summary["status"] in _NO_MORE else "Waiting"] = escape(summary["waiting"])
    facts["Trials"] = f"{done(summary)}   {_counts(summary['counts'])}"
    facts["Duration"] = _output.duration(summary["execDuration"]) + (f" of {_output.duration(limit)}" if limit else "")
    facts["Concurrency"] = str(summary["trialConcurrency"])
    if summary["tuner"]:
        note = escape(summary.get("tunerNote") or "")
        facts["Tuner"] = f"{escape(str(summary['tuner']))} ({summary['optimizeMode']})  {note}".rstrip()
    best = summary["best"]
    if best:
        metric = _output.number(default_metric(best["value"]))
        facts["Best"] = f"[bold]{metric}[/]  trial {best['id']}  {escape(parameters(best['parameters']))}"
    return facts


def best(trial: TrialRow) -> Table:
    """Return the table of ``experiment best``: one parameter a line, so that it can be copied."""
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Trial", f"{trial['id']}  (number {trial['sequence']})")
    table.add_row("Result", escape(_output.number(trial["value"])))
    values = trial["parameters"] if isinstance(trial["parameters"], dict) else {"Parameters": trial["parameters"]}
    for name, value in values.items():
        table.add_row(escape(str(name)), escape(value if isinstance(value, str) else json.dumps(value)))
    return table


def importance(items: list[dict[str, Any]]) -> Table:
    """Return the table of ``experiment importance``; what may be an accident is said so."""
    from rich.markup import escape

    table = _output.table()
    table.add_column("Parameter")
    table.add_column("Importance", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for item in items:
        bar = "█" * round(20 * item["importance"])
        remark = "[dim]may be chance[/]" if item["chance"] > _ACCIDENT else ""
        table.add_row(escape(item["name"]), f"{item['importance']:.1%}", f"{bar} {remark}".strip())
    return table


def one_line(summary: ExperimentSummary) -> str:
    """Return the live status: state, progress, best so far, time."""
    best = summary["best"]
    parts = [_output.status(summary["status"]), f"trials {done(summary)}"]
    parts.append(f"running {summary['counts'].get('RUNNING', 0)}")
    if best:
        parts.append(f"best {_output.number(default_metric(best['value']))} ({best['id']})")
    parts.append(_output.duration(summary["execDuration"]))
    return "  ".join(parts)


def trials(rows: Iterable[TrialRow], width: int) -> Table:
    """Return the table of ``trial ls``."""
    from rich.markup import escape

    rows = list(rows)
    # Of interest only where there is more than this machine: the first thing that gives way to a narrow terminal.
    has_places = width >= _MEDIUM and any(row["service"] != "local" for row in rows)
    table = _output.table()
    for name, justify in (("Trial", "left"), ("No.", "right"), ("Status", "left"), ("Started", "left")):
        table.add_column(name, no_wrap=True, justify=justify, min_width=_ID_WIDTHS.get(name))  # type: ignore[arg-type]  # "left" and "right" are valid
    table.add_column("Duration", no_wrap=True, justify="right")
    table.add_column("Metric", no_wrap=True, justify="right")
    if has_places:
        table.add_column("Service", no_wrap=True)
    table.add_column("Parameters")
    for row in rows:
        table.add_row(
            row["id"],
            str(row["sequence"]),
            _output.status(row["status"]),
            _output.moment(row["startTime"]),
            _output.duration(_output.span(row["startTime"], row["endTime"])),
            _output.number(default_metric(row["value"])),
            *([escape(row["service"] or "-")] if has_places else []),
            giving_way(parameters(row["parameters"])) if width < _WIDE else escape(parameters(row["parameters"])),
        )
    return table


def why_waiting(rows: Iterable[TrialRow]) -> list[str]:
    """Return, for each reason why trials wait, a line that names the reason and those trials."""
    waiting: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] == "WAITING" and row["message"]:
            waiting.setdefault(row["message"], []).append(row["id"])
    return [f"waiting: {_some(names)} ({reason})" for reason, names in waiting.items()]


def run_again(rows: Iterable[TrialRow]) -> list[str]:
    """Return a line that names the trials that were run again because their machine was lost; none if there is none."""
    again = [f"{row['id']} (run {row['runs']})" for row in rows if row.get("runs", 1) > 1]
    return [f"run again, the machine was lost: {_some(again)}"] if again else []


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def parameters(values: Any) -> str:
    """Write a parameter set on one line, as much of it as a person may want to read; JSON output has all of it."""
    if isinstance(values, dict):
        text = ", ".join(f"{name}={_output.number(value)}" for name, value in values.items())
    else:
        text = json.dumps(values)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def giving_way(text: str) -> Text:
    """Return a cell that is cut to what is left when the other columns have what they need."""
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ellipsis")


def _short(directory: Path) -> str:
    """Write a path with ``~`` for the home directory."""
    home = Path.home()
    return str(Path("~") / directory.relative_to(home)) if home in directory.parents else str(directory)


def done(summary: ExperimentSummary) -> str:
    """Write how many trials have ended, of how many."""
    return f"{ended(summary)}/{summary['maxTrialNumber'] or '∞'}"


def ended(summary: ExperimentSummary) -> int:
    """Return how many trials have ended, without those that were taken away by a stop."""
    return sum(summary["counts"].get(status, 0) for status in _FINISHED)


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{number} {_output.status(name)}" for name, number in counts.items() if number)
