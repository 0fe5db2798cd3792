"""``nnictl platform …`` (PLT-049)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _output

if TYPE_CHECKING:
    from nni.config import RemoteConfig

app = typer.Typer(help="Care for the places where trials run.", no_args_is_help=True)


@app.command("clean")
def clean_platform(
    config: Annotated[Path, typer.Option("--config", "-c", help="Experiment file that names the platform.")],
) -> None:
    """Free the disk of the machines that an experiment file names from what experiments left there."""
    from nni.config import RemoteConfig, check_available
    from nni.tools.nnictl._files import load_config

    experiment = load_config(config)
    check_available(experiment)
    remote = [section for section in experiment.training_services if isinstance(section, RemoteConfig)]
    if remote:
        _clean_remote(remote)
        return
    directory = experiment.experiment_working_directory
    _output.info(f"{config}: trials run on this machine only, so there is nothing remote to clean")
    if directory.is_dir():
        _output.info(f"What experiments left here is in {directory}; to remove it: nnictl experiment delete")
    else:
        _output.info(f"Here is nothing either: {directory} does not exist")


def _clean_remote(sections: list[RemoteConfig]) -> None:
    import asyncio

    from nni.common.errors import NniError
    from nni.training_service.remote.clean import clean

    problems = []
    for done in [machine for section in sections for machine in asyncio.run(clean(section))]:
        if done.problem is not None:
            problems.append(done.problem)
            continue
        _output.info(f"{done.machine}: removed {len(done.removed)} directories of experiments, {done.size} bytes")
        if done.kept:
            _output.info(f"{done.machine}: kept {', '.join(done.kept)}, whose trial runner works; stop the experiment")
    if problems:
        raise NniError("; ".join(problems))
