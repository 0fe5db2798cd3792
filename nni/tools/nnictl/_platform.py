"""``nnictl platform …`` (PLT-049)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _output

if TYPE_CHECKING:
    from nni.config import ExperimentConfig
    from nni.training_service.remote.clean import Cleaned

app = typer.Typer(help="Care for the places where trials run.", no_args_is_help=True)


@app.command("clean")
def clean_platform(
    config: Annotated[Path, typer.Option("--config", "-c", help="Experiment file that names the platform.")],
) -> None:
    """Free the disk of the machines that an experiment file names from what experiments left there."""
    from nni.config import check_available
    from nni.tools.nnictl._files import load_config

    experiment = load_config(config)
    check_available(experiment)
    machines = _clean(experiment)
    if machines is not None:
        _tell(machines)
        return
    directory = experiment.experiment_working_directory
    _output.info(f"{config}: trials run on this machine only, so there is nothing remote to clean")
    if directory.is_dir():
        _output.info(f"What experiments left here is in {directory}; to remove it: nnictl experiment delete")
    else:
        _output.info(f"Here is nothing either: {directory} does not exist")


def _clean(experiment: ExperimentConfig) -> list[Cleaned] | None:
    """Clean the machines of all services; None if no service has any."""
    import asyncio

    from nni.config import RayConfig, RemoteConfig

    found: list[Cleaned] | None = None
    for section in experiment.training_services:
        if isinstance(section, RemoteConfig):
            from nni.training_service.remote.clean import clean as clean_remote

            found = [*(found or []), *asyncio.run(clean_remote(section))]
        elif isinstance(section, RayConfig):
            from nni.training_service.ray.clean import clean as clean_ray

            found = [*(found or []), *asyncio.run(clean_ray(section))]
    return found


def _tell(machines: list[Cleaned]) -> None:
    from nni.common.errors import NniError

    problems = []
    for done in machines:
        if done.problem is not None:
            problems.append(done.problem)
            continue
        _output.info(f"{done.machine}: removed {len(done.removed)} directories of experiments, {done.size} bytes")
        if done.kept:
            _output.info(f"{done.machine}: kept {', '.join(done.kept)}, whose trial runner works; stop the experiment")
    if problems:
        raise NniError("; ".join(problems))
