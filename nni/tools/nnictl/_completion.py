"""What the shell offers for ids: read from the list of experiments and from their databases, nothing heavy imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from nni.common.errors import NniError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nni.store.registry import RegistryEntry

_MOST_TRIALS = 200  # more choices help nobody, and a shell lays them out slowly


def experiments(incomplete: str) -> list[tuple[str, str]]:
    """Return ids of all experiments, newest first, each with its name and status."""
    return _offered(_entries(), incomplete)


def running(incomplete: str) -> list[tuple[str, str]]:
    """Return ids of experiments that have a manager."""
    return _offered((entry for entry in _entries() if entry.status != "STOPPED"), incomplete)


def stopped(incomplete: str) -> list[tuple[str, str]]:
    """Return ids of experiments that have no manager."""
    return _offered((entry for entry in _entries() if entry.status == "STOPPED"), incomplete)


def trials(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return ids of the newest trials of the experiment that the command line names, or means."""
    from nni.store import Reader
    from nni.tools.nnictl._resolve import any_experiment

    try:
        entry = any_experiment(ctx.params.get("experiment_id") or _named())
        found = Reader(entry.directory / "db" / "nni.sqlite", at_rest=not entry.alive).trials(order="-sequence")
    except (NniError, OSError):
        return []
    matching = [trial for trial in found if trial.id.startswith(incomplete)]
    return [(trial.id, f"number {trial.sequence}, {trial.status.value}") for trial in matching[:_MOST_TRIALS]]


def _named() -> str | None:
    """Return the experiment's id on a line that click cannot parse yet, because an option still waits for its value."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = set(line.split())
    return next((entry.id for entry in _entries() if entry.id in words), None)


def _entries() -> list[RegistryEntry]:
    from nni.store.registry import ExperimentRegistry

    try:
        return ExperimentRegistry().entries()[::-1]
    except NniError:  # a shell that completes is no place for errors
        return []


def _offered(entries: Iterable[RegistryEntry], incomplete: str) -> list[tuple[str, str]]:
    return [
        (entry.id, " ".join(filter(None, (entry.name, entry.status))))
        for entry in entries
        if entry.id.startswith(incomplete)
    ]
