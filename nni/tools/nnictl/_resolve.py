"""Which experiment a command means (PLT-017, PLT-018)."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from nni.common.errors import NniError
from nni.tools.nnictl import _completion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nni.store.registry import RegistryEntry

_ID_HELP = "Experiment id, or the beginning of one."
ExperimentId = Annotated[
    str | None, typer.Argument(metavar="ID", help=_ID_HELP, autocompletion=_completion.experiments)
]
RunningId = Annotated[str | None, typer.Argument(metavar="ID", help=_ID_HELP, autocompletion=_completion.running)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


class SelectionError(NniError):
    """No experiment, or more than one, fits."""


def is_running(entry: RegistryEntry) -> bool:
    """Return whether an entry of :meth:`ExperimentRegistry.entries` has a manager."""
    return entry.status != "STOPPED"


def context(entries: Iterable[RegistryEntry]) -> RegistryEntry | None:
    """Return the current context: the experiment created last (PLT-018)."""
    return max(entries, key=lambda entry: entry.start_time or 0, default=None)


def running_experiment(experiment_id: str | None, *, may_guess: bool = True) -> RegistryEntry:
    """Return the running experiment that a command means.

    Parameters
    ----------
    experiment_id
        As given: an id, the beginning of one, or None.
    may_guess
        Whether the context decides between several when there is no id. Commands that change something pass False.
    """
    from nni.store.registry import ExperimentRegistry

    return choose_running(ExperimentRegistry().entries(), experiment_id, may_guess=may_guess)


def any_experiment(experiment_id: str | None) -> RegistryEntry:
    """Return the experiment that a command means, running or not; with no id and none running the last created."""
    from nni.store.registry import ExperimentRegistry

    entries = ExperimentRegistry().entries()
    if experiment_id is not None:
        return _named(entries, experiment_id)
    last = context(entries)
    if last is not None and not any(map(is_running, entries)):
        return last
    return choose_running(entries, None, may_guess=True)


def choose_running(entries: list[RegistryEntry], experiment_id: str | None, *, may_guess: bool) -> RegistryEntry:
    """Return the one running experiment meant, or raise :class:`SelectionError` naming the candidates."""
    running = [entry for entry in entries if is_running(entry)]
    if experiment_id is None:
        return _only(running, context(entries) if may_guess else None)
    if not any(entry.id == experiment_id for entry in entries):
        beginning = [entry for entry in running if entry.id.startswith(experiment_id)]
        if beginning:
            return _single(beginning, experiment_id)
    entry = _named(entries, experiment_id)
    if not is_running(entry):
        raise SelectionError(f"experiment {entry.id} is not running; to continue it: nnictl resume {entry.id}")
    return entry


def _only(running: list[RegistryEntry], last: RegistryEntry | None) -> RegistryEntry:
    if not running:
        raise SelectionError("no experiment is running; stopped ones: nnictl experiment list --all")
    if len(running) == 1:
        return running[0]
    if last is None or last not in running:
        raise SelectionError(f"several experiments are running, name one: {listed(running)}")
    from nni.tools.nnictl import _output

    _output.notice(f"of {len(running)} running experiments {last.id} was created last; name another one by its id")
    return last


def _named(entries: list[RegistryEntry], experiment_id: str) -> RegistryEntry:
    exact = next((entry for entry in entries if entry.id == experiment_id), None)
    if exact:
        return exact
    return _single([entry for entry in entries if entry.id.startswith(experiment_id)], experiment_id, entries)


def _single(found: list[RegistryEntry], beginning: str, known: Iterable[RegistryEntry] = ()) -> RegistryEntry:
    if len(found) == 1:
        return found[0]
    if found:
        raise SelectionError(f"several experiment ids begin with {beginning!r}: {listed(found)}")
    near = difflib.get_close_matches(beginning, [entry.id for entry in known], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "all experiments: nnictl experiment list --all"
    raise SelectionError(f"no experiment has the id {beginning!r}; {hint}")


def listed(entries: Iterable[RegistryEntry]) -> str:
    """Write experiments on one line, with what tells them apart."""
    return ", ".join(
        f"{entry.id} ({', '.join(filter(None, (entry.name, f'port {entry.port}' if entry.port else '')))})"
        for entry in entries
    )
