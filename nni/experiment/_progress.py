"""Wait for an experiment while showing how it goes: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nni.experiment._console import logger
from nni.experiment.data import default_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nni.experiment.client import NniClient
    from nni.experiment.data import ExperimentSummary

_PERIOD_S = 0.25
_LINE_PERIOD_S = 10.0
_FINAL = frozenset({"DONE", "ERROR", "STOPPED"})
_ENDED = ("SUCCEEDED", "FAILED", "EARLY_STOPPED", "USER_CANCELED")  # what counts against maxTrialNumber (PLT-083)


def wait_until_done(client: NniClient) -> ExperimentSummary:
    """Return the summary of an experiment once it is DONE, ERROR or STOPPED."""
    with (_bar if sys.stdout.isatty() else _lines)() as show:
        while True:
            summary = client.summary()
            show(summary)
            if summary["status"] in _FINAL:
                return summary
            time.sleep(_PERIOD_S)


@contextmanager
def _bar() -> Iterator[Callable[[ExperimentSummary], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - slow to import

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("Trials", total=None, state="")

        def show(summary: ExperimentSummary) -> None:
            total = summary["maxTrialNumber"]
            progress.update(task, completed=_ended(summary), total=total, state=state(summary))

        yield show


@contextmanager
def _lines() -> Iterator[Callable[[ExperimentSummary], None]]:
    last_time, last_text = time.monotonic(), ""

    def show(summary: ExperimentSummary) -> None:
        nonlocal last_time, last_text
        text = state(summary)
        final = summary["status"] in _FINAL
        if text != last_text and (final or time.monotonic() - last_time >= _LINE_PERIOD_S):
            last_time, last_text = time.monotonic(), text
            logger.info("%s: trials %s", summary["status"], text)

    yield show


def state(summary: ExperimentSummary) -> str:
    """Write progress briefly: ``7/10, 2 running, 1 failed, best 0.9889 (VLqU9)``."""
    parts = [f"{_ended(summary)}/{summary['maxTrialNumber'] or '∞'}"]
    for status, word in (("RUNNING", "running"), ("FAILED", "failed")):
        if summary["counts"].get(status):
            parts.append(f"{summary['counts'][status]} {word}")
    best = summary["best"]
    metric = default_metric(best["value"]) if best else None
    if best and metric is not None:
        parts.append(f"best {metric:.6g} ({best['id']})")
    return ", ".join(parts)


def _ended(summary: ExperimentSummary) -> int:
    return sum(summary["counts"].get(status, 0) for status in _ENDED)
