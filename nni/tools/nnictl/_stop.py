"""``nnictl stop`` and its seven rules (PLT-062…069)."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _completion, _output
from nni.tools.nnictl._resolve import SelectionError, choose_running, is_running, listed

if TYPE_CHECKING:
    from nni.store.registry import ExperimentRegistry, RegistryEntry

_PATIENCE_S = 2.0


def stop(
    experiment_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="Experiment id, the beginning of one, or a pattern like 'ab*'.",
            autocompletion=_completion.running,
        ),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="Stop the experiment on this port.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Stop all running experiments.")] = False,
) -> None:
    """Stop running experiments; their trials are canceled, results are kept and the experiments can be resumed."""
    from nni.store.registry import ExperimentRegistry

    registry = ExperimentRegistry()
    entries = registry.entries()
    orphaned = _orphaned(entries, experiment_id)
    if orphaned is not None:
        _clean_up(orphaned)
        return
    chosen = select(entries, experiment_id, port, everything=everything)
    crashed = _crashed(entries) if everything else []
    if everything and not chosen and not crashed:
        _output.info("No experiment is running.")
    _stop_all(chosen, registry)
    for entry in crashed:
        _clean_up(entry)


def select(
    entries: list[RegistryEntry], experiment_id: str | None, port: int | None, *, everything: bool
) -> list[RegistryEntry]:
    """Return the experiments to stop, by the documented rules; raises :class:`SelectionError`, then none is stopped."""
    if sum((experiment_id is not None, port is not None, everything)) > 1:
        raise typer.BadParameter("give an id, or --port, or --all, not several of them")
    running = [entry for entry in entries if is_running(entry)]
    if everything:
        return running
    if port is not None:
        return _on_port(running, port)
    if experiment_id is not None and experiment_id.endswith("*"):
        return _matching(running, experiment_id)
    # Stopping is never guessed: with several running and no id this raises.
    return [choose_running(entries, experiment_id, may_guess=False)]


def _on_port(running: list[RegistryEntry], port: int) -> list[RegistryEntry]:
    found = [entry for entry in running if entry.port == port]
    if not found:
        others = f"; running: {listed(running)}" if running else "; none is running at all"
        raise SelectionError(f"no experiment is running on port {port}{others}")
    return found


def _matching(running: list[RegistryEntry], pattern: str) -> list[RegistryEntry]:
    found = [entry for entry in running if fnmatch.fnmatchcase(entry.id, pattern)]
    if not found:
        others = f"; running: {listed(running)}" if running else "; none is running at all"
        raise SelectionError(f"no running experiment has an id like {pattern!r}{others}")
    return found


def _stop_all(entries: list[RegistryEntry], registry: ExperimentRegistry) -> None:
    """Stop experiments side by side; one that cannot be stopped does not spare the others."""
    from concurrent.futures import ThreadPoolExecutor

    from nni.experiment.stop import StopError

    if not entries:
        return
    with ThreadPoolExecutor(len(entries)) as pool:
        running = [pool.submit(_stop_one, entry, registry) for entry in entries]
    faults = [str(fault) for job in running if isinstance(fault := job.exception(), StopError)]
    if faults:
        raise StopError("\n".join(faults))
    for job in running:
        job.result()


def _stop_one(entry: RegistryEntry, registry: ExperimentRegistry) -> None:
    from nni.experiment.stop import GRACE_S, stop_experiment

    _output.info(f"Stopping experiment {entry.id}")
    told = False

    def on_wait(waited: float) -> None:
        nonlocal told
        if waited > _PATIENCE_S and not told:
            told = True
            _output.info(
                f"Waiting for {entry.id} and its trials to end (at most {GRACE_S:.0f} s, then they are killed)"
            )

    ended = stop_experiment(entry, registry=registry, on_wait=on_wait)
    if entry.is_view:
        _output.info(f"Ended the view of experiment {entry.id}")
    elif ended:
        _output.info(f"Stopped experiment {entry.id}; to continue it: nnictl resume {entry.id}")
    else:
        _output.warning(f"experiment {entry.id} did not end by itself; its manager and its trials were killed")


def _orphaned(entries: list[RegistryEntry], experiment_id: str | None) -> RegistryEntry | None:
    """Return the stopped experiment of exactly this id if processes of it still run: its manager was killed."""
    entry = next((entry for entry in entries if entry.id == experiment_id and not is_running(entry)), None)
    if entry is None:
        return None
    from nni.experiment.stop import leftovers

    return entry if leftovers(entry.directory) else None


def _crashed(entries: list[RegistryEntry]) -> list[RegistryEntry]:
    """Return the experiments that no manager runs, and of which processes still run."""
    # Only those whose end was never recorded can have left any, so that this looks at processes once or not at all.
    unended = [entry for entry in entries if entry.end_time is None and not is_running(entry)]
    if not unended:
        return []
    from nni.experiment.stop import leftovers

    return [entry for entry in unended if leftovers(entry.directory)]


def _clean_up(entry: RegistryEntry) -> None:
    from nni.experiment.stop import leftovers, terminate

    processes = leftovers(entry.directory)
    _output.info(f"Experiment {entry.id} has no manager any more; stopping the {len(processes)} processes it left")
    terminate(processes)
    _output.info(f"Stopped experiment {entry.id}; to continue it: nnictl resume {entry.id}")
