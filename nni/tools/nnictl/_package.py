"""``nnictl experiment delete``, ``save`` and ``load``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _completion, _output
from nni.tools.nnictl._resolve import SelectionError, any_experiment, listed

if TYPE_CHECKING:
    from nni.store.registry import RegistryEntry

StoppedId = typer.Argument(
    metavar="ID", help="Experiment id, or the beginning of one.", autocompletion=_completion.stopped
)


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``nnictl experiment``."""
    app.command("delete")(delete)
    app.command("save")(save)
    app.command("load")(load)


def delete(
    experiment_id: Annotated[str | None, StoppedId] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All experiments.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; nor is asked outside a terminal.")] = False,
) -> None:
    """Delete stopped experiments for good: results, logs, checkpoints, and their place in the list."""
    if everything == (experiment_id is not None):
        raise typer.BadParameter("give an id, or --all")
    from nni.experiment.remove import delete as remove
    from nni.experiment.remove import require_stopped
    from nni.store.registry import ExperimentRegistry

    registry = ExperimentRegistry()
    chosen = registry.entries() if everything else [any_experiment(experiment_id)]
    for entry in chosen:
        require_stopped(entry)
    if not chosen:
        _output.info("There is no experiment.")
        return
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Delete {listed(chosen)} for good?"):
        raise SelectionError("nothing was deleted")
    for entry in chosen:
        _tell(entry, was_own=remove(entry, registry))


def _tell(entry: RegistryEntry, *, was_own: bool) -> None:
    if was_own:
        _output.info(f"Deleted experiment {entry.id} ({entry.directory})")
    else:
        _output.warning(
            f"experiment {entry.id} is out of the list; {entry.directory} is not its own directory, or gone"
        )


def save(
    experiment_id: Annotated[str, StoppedId],
    path: Annotated[Path, typer.Option("--path", "-p", help="Folder for the file.")] = Path(),
    *,
    save_code: Annotated[
        bool, typer.Option("--saveCodeDir", "-s", help="Put the trials' code directory into it, too.")
    ] = False,
) -> None:
    """Save a stopped experiment in one file, for 'experiment load'."""
    from nni.experiment.package import save as write

    entry = any_experiment(experiment_id)
    file = write(entry, path, with_code=save_code)
    _output.info(f"Saved experiment {entry.id} in {file}")
    _output.notice("the file holds the whole config; if there are passwords in it, keep the file to yourself")


def load(
    path: Annotated[Path, typer.Option("--path", "-p", help="The file that 'experiment save' wrote.")],
    code_dir: Annotated[
        Path, typer.Option("--codeDir", "-c", help="Where the trials' code is, or is put if the file has it.")
    ],
    log_dir: Annotated[
        Path | None,
        typer.Option("--logDir", "-l", help="Where to put the experiment's directory. Default: ~/nni-experiments."),
    ] = None,
    search_space: Annotated[
        Path | None,
        typer.Option(
            "--searchSpacePath",
            "-s",
            help="File to write the search space to. Default: search_space.json in codeDir, if there is none.",
        ),
    ] = None,
) -> None:
    """Put back a saved experiment, under its id; then it can be viewed, exported and resumed."""
    from nni.experiment.package import load as read

    entry = read(path, code_dir, log_directory=log_dir, search_space_path=search_space)
    _output.info(f"Loaded experiment {entry.id} into {entry.directory}; to continue it: nnictl resume {entry.id}")
