"""``nnictl trial …``: ls, kill."""

from __future__ import annotations

from typing import Annotated

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import AsJson, ExperimentId, running_experiment

app = typer.Typer(help="List and kill trials.", no_args_is_help=True)


@app.command("ls")
def list_trials(
    experiment_id: ExperimentId = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="Only the N completed trials with the highest default metric.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option(min=1, help="Only the N completed trials with the lowest default metric.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the trials of an experiment."""
    if head is not None and tail is not None:
        raise typer.BadParameter("give --head or --tail, not both")
    entry = running_experiment(experiment_id)
    from nni.experiment.client import NniClient
    from nni.tools.nnictl import _describe

    with NniClient.of(entry) as client:
        if head is not None or tail is not None:
            rows = client.trials(status="SUCCEEDED", order="-metric" if tail is None else "metric", limit=head or tail)
        else:
            rows = client.trials()
    if as_json:
        _output.print_json(rows)
        return
    console = _output.console()
    console.print(_describe.trials(rows, console.width))


@app.command("kill")
def kill(
    trial_id: Annotated[str, typer.Option("--trial_id", "--trial-id", "-T", help="Id of the trial.")],
    experiment_id: ExperimentId = None,
) -> None:
    """Cancel a waiting or running trial."""
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import NniClient

    with NniClient.of(entry) as client:
        client.kill_trial(trial_id)
    _output.info(f"Killed trial {trial_id} of experiment {entry.id}")
