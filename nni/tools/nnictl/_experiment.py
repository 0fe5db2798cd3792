"""``nnictl experiment …``: list, show, status, best, importance, export, import."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _output, _source
from nni.tools.nnictl._resolve import AsJson, ExperimentId, RunningId, SelectionError, is_running, running_experiment

if TYPE_CHECKING:
    from nni.store.registry import RegistryEntry

app = typer.Typer(help="List, show, export, import, save and delete experiments.", no_args_is_help=True)


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
    entry = _source.choose(experiment_id)
    if not as_json and not is_running(entry) and not has_results(entry):
        _show_entry(entry)
        return
    from nni.tools.nnictl import _describe

    with _source.of(entry) as source:
        profile, summary = source.profile(), source.summary()
        failed = source.trials(status="FAILED", order="-sequence", limit=1) if summary["counts"].get("FAILED") else []
    if as_json:
        _output.print_json({**profile, "status": summary["status"], "errors": summary["errors"]})
        return
    _output.console().print(_describe.experiment(entry, summary, profile["revision"], *failed))
    _tell_of_lost_manager(entry)


def has_results(entry: RegistryEntry) -> bool:
    """Return whether an experiment ever came as far as a database, and it is where it was."""
    return (entry.directory / "db" / "nni.sqlite").is_file()


def _show_entry(entry: RegistryEntry) -> None:
    """Show what the list of experiments has of one that has nothing else."""
    from nni.tools.nnictl import _describe

    _output.console().print(_describe.experiment(entry))
    _tell_of_lost_manager(entry)


def _tell_of_lost_manager(entry: RegistryEntry) -> None:
    """Explain an experiment that nobody stopped and that does not run."""
    if not is_running(entry) and entry.end_time is None:
        _output.notice(f"no end is recorded, as after a crash of its manager; to go on: nnictl resume {entry.id}")


@app.command("status")
def status(experiment_id: ExperimentId = None, *, as_json: AsJson = False) -> None:
    """Print the status of an experiment, and its errors if there are any."""
    entry = _source.choose(experiment_id)
    name, errors = entry.status, list[str]()
    if is_running(entry) or has_results(entry):
        with _source.of(entry) as source:
            name, errors = source.check_status()
    if as_json:
        _output.print_json({"status": name, "errors": errors})
        return
    _output.console().print(_output.status(name))
    _tell_of_lost_manager(entry)
    for text in errors:
        _output.error(text)


@app.command("best")
def best(experiment_id: ExperimentId = None, *, as_json: AsJson = False) -> None:
    """Print the best trial: its result and its parameters."""
    entry = _source.choose(experiment_id)
    from nni.tools.nnictl import _describe

    with _source.of(entry) as source:
        found = source.summary()["best"]
    if found is None:
        raise SelectionError(f"experiment {entry.id} has no trial with a result yet")
    if as_json:
        chosen = {"trialJobId": found["id"], "value": found["value"], "parameters": found["parameters"]}
        _output.print_json(chosen)
    else:
        _output.console().print(_describe.best(found))


@app.command("importance")
def importance(experiment_id: ExperimentId = None, *, as_json: AsJson = False) -> None:
    """Tell how much each parameter decided about the results (PED-ANOVA of the succeeded trials)."""
    entry = _source.choose(experiment_id)
    with _source.of(entry) as source:
        found = source.importance()
    if as_json:
        _output.print_json(found)
        return
    if found["reason"]:
        raise SelectionError(f"experiment {entry.id}: {found['reason']}")
    from nni.tools.nnictl import _describe

    _output.console().print(_describe.importance(found["items"]))


@app.command("export")
def export(
    filename: Annotated[Path, typer.Option("--filename", "-f", help="File to write.")],
    kind: Annotated[ExportType, typer.Option("--type", help="Format of the file.")],
    experiment_id: ExperimentId = None,
    *,
    intermediate: Annotated[bool, typer.Option("--intermediate", "-i", help="Include intermediate results.")] = False,
) -> None:
    """Write parameters and results of the succeeded trials to a csv or json file."""
    entry = _source.choose(experiment_id)
    from nni.tools.nnictl import _export

    with _source.of(entry) as source:
        results = source.export_data()
        metrics = source.metric_data(kind="PERIODICAL") if intermediate else None
    write = _export.write_csv if kind is ExportType.csv else _export.write_json
    write(filename.expanduser(), results, metrics)
    _output.info(f"Exported {len(results)} trials of experiment {entry.id} to {filename}")


@app.command("import")
def import_data(
    filename: Annotated[
        Path, typer.Option("--filename", "-f", help='JSON file: [{"parameter": {...}, "value": ...}, ...].')
    ],
    experiment_id: RunningId = None,
) -> None:
    """Feed results from elsewhere to the tuner, such as those that 'experiment export' wrote as json."""
    from nni.tools.nnictl._files import read_json

    data = read_json(filename)
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import ApiError, NniClient

    with NniClient.of(entry) as client:
        try:
            client.import_data(data)
        except ApiError as refusal:
            raise SelectionError(f"{filename}: {refusal}") from None
    _output.info(f"Imported {len(data)} results into experiment {entry.id}")
