"""``nnictl experiment …``: list, show, status, best, importance, export, import."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nni.tools.nnictl import _completion, _output, _source
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
    """Print the status of an experiment, and beside it why no further trial starts, and its errors."""
    entry = _source.choose(experiment_id)
    name, errors, waiting = entry.status, list[str](), None
    if is_running(entry) or has_results(entry):
        with _source.of(entry) as source:
            summary = source.summary()
        name, errors, waiting = summary["status"], summary["errors"], summary["waiting"]
    if as_json:
        _output.print_json({"status": name, "errors": errors, "waiting": waiting})
        return
    _output.console().print(_output.status(name))
    _tell_of_lost_manager(entry)
    if waiting is not None and not errors:
        _output.notice(waiting)
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
        Path | None,
        typer.Option("--filename", "-f", help='JSON file: [{"parameter": {...}, "value": ...}, ...].'),
    ] = None,
    experiment_id: RunningId = None,
    *,
    other: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ID",
            help="Another experiment, running or not, whose results to take.",
            autocompletion=_completion.experiments,
        ),
    ] = None,
) -> None:
    """Feed results from elsewhere to the tuner: a file that 'experiment export' wrote as json, or an experiment."""
    if (filename is None) == (other is None):
        raise typer.BadParameter("give either --filename or --from", param_hint="--filename / --from")
    data, where = _results_of(other) if other is not None else _results_in(filename)
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import ApiError, NniClient

    with NniClient.of(entry) as client:
        try:
            client.import_data(data)
        except ApiError as refusal:
            raise SelectionError(f"{where}: {refusal}") from None
    _output.info(f"Imported {len(data)} results into experiment {entry.id}")


def _results_in(filename: Path | None) -> tuple[list[Any], str]:
    from nni.tools.nnictl._files import read_json

    assert filename is not None
    return read_json(filename), str(filename)


def _results_of(experiment_id: str) -> tuple[list[Any], str]:
    """Return the results of another experiment, as a file of 'experiment export' has them."""
    entry = _source.choose(experiment_id)
    if not (is_running(entry) or has_results(entry)):
        raise SelectionError(f"experiment {entry.id} has no results: {entry.directory} holds no database")
    with _source.of(entry) as source:
        return [result._asdict() for result in source.export_data()], f"results of experiment {entry.id}"
