"""``nnictl tensorboard …`` (PLT-061, PLT-324): start and stop, for a running experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nni.common.errors import NniError
from nni.tools.nnictl import _completion, _output
from nni.tools.nnictl._resolve import RunningId, running_experiment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nni.experiment.client import NniClient
    from nni.store.registry import RegistryEntry

app = typer.Typer(help="TensorBoard of the trials of an experiment.", no_args_is_help=True)

_PATIENCE = 120.0  # seconds: the manager answers when TensorBoard does


@app.command("start")
def start(
    experiment_id: RunningId = None,
    trial_ids: Annotated[
        list[str] | None,
        typer.Option(
            "--trial_id",
            "--trial-id",
            "-T",
            help="Id of a trial; several times, or separated by commas. Default: all that wrote something for it.",
            autocompletion=_completion.trials,
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1. Default: the first free one from 6006 on.")
    ] = None,
) -> None:
    """Start TensorBoard and print its address; it ends with the experiment."""
    entry = running_experiment(experiment_id)
    from nni.experiment.client import NniClient

    with NniClient.of(entry, timeout=_PATIENCE) as client:
        wanted = [part.strip() for item in trial_ids or [] for part in item.split(",") if part.strip()]
        wanted = wanted or _that_wrote(client, entry)
        task = _same(client.tensorboards(), wanted, port) or client.start_tensorboard(wanted, port)
    typer.echo(f"http://127.0.0.1:{task['port']}/")
    for url in entry.urls:
        address, mark, query = url.partition("?")
        way = f"{address.rstrip('/')}/tensorboard/{task['id']}/{mark}{query}"
        _output.notice(f"also through the experiment's own address: {way}")


@app.command("stop")
def stop(experiment_id: RunningId = None) -> None:
    """Stop all TensorBoards of an experiment."""
    entry = running_experiment(experiment_id)
    from nni.experiment.client import NniClient

    with NniClient.of(entry) as client:
        running = [task for task in client.tensorboards() if task["status"] == "RUNNING"]
        client.stop_tensorboards()
    _output.info(f"Stopped {len(running)} TensorBoard{'' if len(running) == 1 else 's'} of experiment {entry.id}")


def _that_wrote(client: NniClient, entry: RegistryEntry) -> list[str]:
    from nni.experiment.outputs import tensorboard_directory

    trials = [row["id"] for row in client.trials() if tensorboard_directory(Path(row["directory"])).is_dir()]
    if not trials:
        raise NniError(
            f"no trial of experiment {entry.id} has written anything for TensorBoard yet; "
            "trials would have to write to $NNI_OUTPUT_DIR/tensorboard"
        )
    return trials


def _same(tasks: Sequence[dict[str, Any]], trials: list[str], port: int | None) -> dict[str, Any] | None:
    """Return a TensorBoard that runs for exactly these trials already."""
    for task in tasks:
        same = task["status"] == "RUNNING" and sorted(task["trialJobIdList"]) == sorted(trials)
        if same and port in {None, int(task["port"])}:
            return task
    return None
