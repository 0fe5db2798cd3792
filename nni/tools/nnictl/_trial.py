"""``nnictl trial …``: ls, kill, rerun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _completion, _output, _source
from nni.tools.nnictl._resolve import AsJson, ExperimentId, RunningId, SelectionError, running_experiment

if TYPE_CHECKING:
    from nni.experiment.client import NniClient
    from nni.experiment.data import TrialJob

app = typer.Typer(help="List, kill and repeat trials.", no_args_is_help=True)

_FAILED = ("FAILED",)
_ENDED = ("SUCCEEDED", "FAILED", "EARLY_STOPPED", "USER_CANCELED", "SYS_CANCELED")


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
    from nni.tools.nnictl import _describe, _failure

    with _source.of(_source.choose(experiment_id)) as source:
        if head is not None or tail is not None:
            rows = source.trials(status="SUCCEEDED", order="-metric" if tail is None else "metric", limit=head or tail)
        else:
            rows = source.trials()
    if as_json:
        _output.print_json(rows)
        return
    console = _output.console()
    console.print(_describe.trials(rows, console.width))
    for line in [*_describe.run_again(rows), *_describe.why_waiting(rows)]:
        _output.notice(line)
    failed = [row for row in rows if row["status"] == "FAILED"]
    if failed:
        _output.notice(_failure.reason(failed[-1]))


@app.command("kill")
def kill(
    trial_id: Annotated[
        str,
        typer.Option("--trial_id", "--trial-id", "-T", help="Id of the trial.", autocompletion=_completion.trials),
    ],
    experiment_id: RunningId = None,
) -> None:
    """Cancel a waiting or running trial."""
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import NniClient

    with NniClient.of(entry) as client:
        client.kill_trial(trial_id)
    _output.info(f"Killed trial {trial_id} of experiment {entry.id}")


@app.command("rerun")
def rerun(
    trial_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="TRIAL_ID...", help="Ids of trials.", autocompletion=_completion.trials),
    ] = None,
    experiment_id: Annotated[
        str | None,
        typer.Option("--experiment", help="Experiment id, if several run.", autocompletion=_completion.running),
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All trials that failed.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All trials that have ended.")] = False,
) -> None:
    """Queue the parameters of trials once more, as trials of your own; the tuner does not hear of them."""
    if sum((bool(trial_ids), failed, everything)) != 1:
        raise typer.BadParameter("give ids of trials, or --failed, or --all")
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import NniClient

    with NniClient.of(entry) as client:
        jobs = client.trial_jobs()
        chosen = [job for job in jobs if job.status in (_FAILED if failed else _ENDED)]
        if trial_ids:
            chosen = _named(trial_ids, jobs, entry.id)
        _queue(client, chosen)
    _output.info(f"Queued {len(chosen)} {'trial' if len(chosen) == 1 else 'trials'} of experiment {entry.id} once more")


def _named(trial_ids: list[str], jobs: list[TrialJob], experiment_id: str) -> list[TrialJob]:
    """Return the trials of these ids; of a misspelt one nothing is queued."""
    from nni.experiment.stored import no_such_trial

    by_id = {job.trialJobId: job for job in jobs}
    for name in trial_ids:
        if name not in by_id:
            raise SelectionError(no_such_trial(name, list(by_id), experiment_id))
    return [by_id[name] for name in trial_ids]


def _queue(client: NniClient, jobs: list[TrialJob]) -> None:
    from nni.experiment.client import ApiError

    for number, job in enumerate(jobs):
        try:
            client.add_trial(job.hyperParameters[0].parameters)
        except ApiError as refusal:
            raise SelectionError(f"{refusal}; queued {number} of {len(jobs)} trials") from None
