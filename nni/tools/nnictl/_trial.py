"""``nnictl trial …``: ls, kill."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import AsJson, ExperimentId, SelectionError, running_experiment

if TYPE_CHECKING:
    from nni.experiment.data import TrialRow

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
    from nni.tools.nnictl import _describe, _failure

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
    failed = [row for row in rows if row["status"] == "FAILED"]
    if failed:
        _output.notice(_failure.reason(failed[-1]))


@app.command("kill")
def kill(
    trial_id: Annotated[str, typer.Option("--trial_id", "--trial-id", "-T", help="Id of the trial.")],
    experiment_id: ExperimentId = None,
) -> None:
    """Cancel a waiting or running trial."""
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import ApiError, NniClient

    with NniClient.of(entry) as client:
        try:
            client.kill_trial(trial_id)
        except ApiError as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            raise SelectionError(_no_such_trial(trial_id, entry.id, client.trials())) from None
    _output.info(f"Killed trial {trial_id} of experiment {entry.id}")


def _no_such_trial(trial_id: str, experiment_id: str, trials: list[TrialRow]) -> str:
    import difflib

    under_way = [trial["id"] for trial in trials if trial["status"] in {"WAITING", "RUNNING", "UNKNOWN"}]
    near = difflib.get_close_matches(trial_id, [trial["id"] for trial in trials], n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(near)}?" if near else f"under way: {', '.join(under_way) or 'none'}"
    return f"experiment {experiment_id} has no trial {trial_id!r}; {offer}"
