"""``nnictl update …``: change a running experiment (PLT-034…037)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import RunningId, running_experiment

if TYPE_CHECKING:
    from nni.experiment.client import UpdateType

app = typer.Typer(help="Change limits and search space of a running experiment.", no_args_is_help=True)


@app.command("searchspace")
def search_space(
    filename: Annotated[Path, typer.Option("--filename", "-f", help="JSON or YAML file with the new search space.")],
    experiment_id: RunningId = None,
) -> None:
    """Give the tuner another search space; trials that exist already stay as they are."""
    from nni.config import ExperimentConfig, load_search_space

    space = load_search_space(ExperimentConfig(search_space_file=filename))
    _update(experiment_id, "SEARCH_SPACE", space, f"searchSpace is now that of {filename}")


@app.command("concurrency")
def concurrency(
    value: Annotated[int, typer.Option("--value", "-v", min=1, help="How many trials run at the same time.")],
    experiment_id: RunningId = None,
) -> None:
    """Change how many trials run at the same time; those that run are not stopped."""
    _update(experiment_id, "TRIAL_CONCURRENCY", value, f"trialConcurrency is now {value}")


@app.command("duration")
def duration(
    value: Annotated[str, typer.Option("--value", "-v", help="A number with s, m, h or d behind it, such as 2h.")],
    experiment_id: RunningId = None,
) -> None:
    """Change for how long trials are started; it counts from the start of the experiment, not from now."""
    _update(experiment_id, "MAX_EXEC_DURATION", value, f"maxExperimentDuration is now {value}")


@app.command("trialnum")
def trial_number(
    value: Annotated[int, typer.Option("--value", "-v", min=1, help="How many trials there are at most.")],
    experiment_id: RunningId = None,
) -> None:
    """Change how many trials there are at most; a higher number continues an experiment that is done."""
    _update(experiment_id, "MAX_TRIAL_NUM", value, f"maxTrialNumber is now {value}")


def _update(experiment_id: str | None, kind: UpdateType, value: Any, outcome: str) -> None:
    entry = running_experiment(experiment_id, may_guess=False)
    from nni.experiment.client import NniClient

    with NniClient.of(entry) as client:
        client.update_profile(kind, value)
    _output.info(f"Experiment {entry.id}: {outcome}")
