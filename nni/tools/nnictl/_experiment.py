"""``nnictl experiment …``: list, show, status, export."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import AsJson, ExperimentId, any_experiment, is_running, running_experiment

if TYPE_CHECKING:
    from nni.store.registry import RegistryEntry

app = typer.Typer(help="List, show and export experiments.", no_args_is_help=True)


class ExportType(str, Enum):
    """File formats of ``experiment export``."""

    csv = "csv"
    json = "json"


@app.command("list")
def list_experiments(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Stopped ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the running experiments."""
    from nni.store.registry import ExperimentRegistry

    entries = [entry for entry in ExperimentRegistry().entries() if everything or is_running(entry)]
    if as_json:
        _output.print_json([entry.to_json() for entry in entries])
    elif entries:
        from nni.tools.nnictl import _describe

        console = _output.console()
        console.print(_describe.experiments(entries, console.width))
    else:
        typer.echo("There is no experiment running." if not everything else "There is no experiment.")
        if not everything:
            typer.echo("You can use 'nnictl experiment list --all' to list all experiments.")


@app.command("show")
def show(experiment_id: ExperimentId = None, *, as_json: AsJson = False) -> None:
    """Show an experiment: status, progress, best trial, limits; with --json its profile."""
    entry = running_experiment(None) if experiment_id is None else any_experiment(experiment_id)
    if not is_running(entry):
        _show_stopped(entry, as_json=as_json)
        return
    from nni.experiment.client import NniClient
    from nni.tools.nnictl import _describe

    with NniClient.of(entry) as client:
        profile, summary = client.profile(), client.summary()
        failed = client.trials(status="FAILED", order="-sequence", limit=1) if summary["counts"].get("FAILED") else []
    if as_json:
        _output.print_json({**profile, "status": summary["status"], "errors": summary["errors"]})
    else:
        _output.console().print(_describe.experiment(entry, summary, profile["revision"], *failed))


def _show_stopped(entry: RegistryEntry, *, as_json: bool) -> None:
    from nni.tools.nnictl import _describe

    if as_json:
        _output.print_json(entry.to_json())
    else:
        _output.console().print(_describe.experiment(entry))
        _tell_of_lost_manager(entry)


def _tell_of_lost_manager(entry: RegistryEntry) -> None:
    """Explain an experiment that nobody stopped and that does not run."""
    if not is_running(entry) and entry.end_time is None:
        _output.notice(f"no end is recorded, as after a crash of its manager; to go on: nnictl resume {entry.id}")


@app.command("status")
def status(experiment_id: ExperimentId = None, *, as_json: AsJson = False) -> None:
    """Print the status of an experiment, and its errors if there are any."""
    entry = running_experiment(None) if experiment_id is None else any_experiment(experiment_id)
    name, errors = entry.status, list[str]()
    if is_running(entry):
        from nni.experiment.client import NniClient

        with NniClient.of(entry) as client:
            name, errors = client.check_status()
    if as_json:
        _output.print_json({"status": name, "errors": errors})
        return
    _output.console().print(_output.status(name))
    _tell_of_lost_manager(entry)
    for text in errors:
        _output.error(text)


@app.command("export")
def export(
    filename: Annotated[Path, typer.Option("--filename", "-f", help="File to write.")],
    kind: Annotated[ExportType, typer.Option("--type", help="Format of the file.")],
    experiment_id: ExperimentId = None,
    *,
    intermediate: Annotated[bool, typer.Option("--intermediate", "-i", help="Include intermediate results.")] = False,
) -> None:
    """Write parameters and results of the succeeded trials to a csv or json file."""
    entry = running_experiment(experiment_id)
    from nni.experiment.client import NniClient
    from nni.tools.nnictl import _export

    with NniClient.of(entry) as client:
        results = client.export_data()
        metrics = client.metric_data(kind="PERIODICAL") if intermediate else None
    write = _export.write_csv if kind is ExportType.csv else _export.write_json
    write(filename.expanduser(), results, metrics)
    _output.info(f"Exported {len(results)} trials of experiment {entry.id} to {filename}")
