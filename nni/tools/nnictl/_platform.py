"""``nnictl platform …`` (PLT-049)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nni.tools.nnictl import _output

app = typer.Typer(help="Care for the places where trials run.", no_args_is_help=True)


@app.command("clean")
def clean(
    config: Annotated[Path, typer.Option("--config", "-c", help="Experiment file that names the platform.")],
) -> None:
    """Free the disk of a remote platform from what experiments left there; there is none in this version."""
    from nni.config import check_available
    from nni.tools.nnictl._files import load_config

    experiment = load_config(config)
    check_available(experiment)
    directory = experiment.experiment_working_directory
    _output.info(f"{config}: trials run on this machine only, so there is nothing remote to clean")
    if directory.is_dir():
        _output.info(f"What experiments left here is in {directory}; to remove it: nnictl experiment delete")
    else:
        _output.info(f"Here is nothing either: {directory} does not exist")
