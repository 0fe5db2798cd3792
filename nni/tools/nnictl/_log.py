"""``nnictl log …``: what the manager and the trials wrote. Read from disk, so it works whatever has died (PLT-052)."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nni.common.errors import NniError
from nni.common.log_text import follow_log, read_log
from nni.tools.nnictl import _completion, _output, _source
from nni.tools.nnictl._resolve import AsJson, ExperimentId, any_experiment, is_running

if TYPE_CHECKING:
    from pathlib import Path

    from nni.store.registry import RegistryEntry

app = typer.Typer(help="Show logs.", no_args_is_help=True)

_HEAD_IS_H = {"help_option_names": ["--help"]}  # -h is --head here (PLT-019)

Head = Annotated[int | None, typer.Option("--head", "-h", min=0, help="Only the first N lines.")]
Tail = Annotated[int | None, typer.Option("--tail", "-t", min=0, help="Only the last N lines.")]
ShowPath = Annotated[bool, typer.Option("--path", "-p", help="Print the path of the file instead.")]


class LogError(NniError):
    """The log cannot be shown."""


@app.command("stdout", context_settings=_HEAD_IS_H)
def stdout(experiment_id: ExperimentId = None, head: Head = None, tail: Tail = None, *, path: ShowPath = False) -> None:
    """Show what the manager printed."""
    _show("nnictl_stdout.log", experiment_id, head, tail, path_only=path)


@app.command("stderr", context_settings=_HEAD_IS_H)
def stderr(experiment_id: ExperimentId = None, head: Head = None, tail: Tail = None, *, path: ShowPath = False) -> None:
    """Show what the manager printed as errors: the first place to look at when an experiment did not start."""
    _show("nnictl_stderr.log", experiment_id, head, tail, path_only=path)


@app.command("trial")
def trial(
    experiment_id: ExperimentId = None,
    trial_id: Annotated[
        str | None,
        typer.Option("--trial_id", "--trial-id", "-T", help="Only this trial.", autocompletion=_completion.trials),
    ] = None,
    head: Annotated[int | None, typer.Option("--head", min=0, help="Show the first N lines of the log.")] = None,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Show the last N lines of the log.")] = None,
    *,
    show: Annotated[bool, typer.Option("--show", "-s", help="Show the log instead of its path.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show the log, and what comes, until the trial ends.")
    ] = False,
    errors: Annotated[bool, typer.Option("--stderr", help="Standard error instead of standard output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the path of a trial's log, or of all trials' logs; or show a trial's log."""
    if sum((head is not None, tail is not None, follow)) > 1:
        raise typer.BadParameter("give --head or --tail or --follow, not several of them")
    show = show or follow or head is not None or tail is not None
    if show and (trial_id is None or as_json):
        raise typer.BadParameter("what is shown is the log of one trial, as it is: give --trial_id, and no --json")
    entry = any_experiment(experiment_id)
    trials = entry.directory / "trials"
    known = {entry.name: entry / ("stderr" if errors else "trial.log") for entry in _by_age(trials)}
    if trial_id is None:
        _list_paths(known, as_json=as_json)
        return
    if trial_id not in known:
        near = difflib.get_close_matches(trial_id, known, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        silent = "; a function's trial has a log only if it printed something or failed"
        is_function = (entry.directory / "function").is_dir()
        raise LogError(f"no trial {trial_id!r} in {trials}{hint}{silent if is_function else ''}")
    if follow:
        _follow_trial(entry, trial_id, known[trial_id])
    elif show:
        _show_trial(known[trial_id], head, tail)
    elif as_json:
        _list_paths({trial_id: known[trial_id]}, as_json=True)
    else:
        typer.echo(known[trial_id])


def _show_trial(path: Path, head: int | None, tail: int | None) -> None:
    try:
        _copy(path, head, tail)
    except FileNotFoundError:
        raise LogError(f"{path} does not exist: the trial has not started yet") from None
    errors = path.with_name("stderr")
    if path != errors and path.stat().st_size == 0 and errors.is_file() and errors.stat().st_size:
        _output.notice(f"{path} is empty; what the trial wrote as errors is shown with --stderr")


def _follow_trial(entry: RegistryEntry, trial_id: str, path: Path) -> None:
    """Show what a trial writes until it has ended, or nobody runs it any more."""
    from nni.experiment.client import NoAnswerError

    with _source.of(entry) as source:

        def goes_on() -> bool:
            try:
                return is_running(entry) and source.trial(trial_id)["endTime"] is None
            except NoAnswerError:  # the experiment was stopped meanwhile
                return False

        try:
            for piece in follow_log(path, goes_on):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        except FileNotFoundError:
            raise LogError(f"{path} does not exist: the trial has not started yet") from None


def _by_age(directory: Path) -> list[Path]:
    found = [entry for entry in directory.iterdir() if entry.is_dir()] if directory.is_dir() else []
    return sorted(found, key=lambda entry: entry.stat().st_mtime)


def _list_paths(paths: dict[str, Path], *, as_json: bool) -> None:
    if as_json:
        _output.print_json([{"trialJobId": name, "path": str(path)} for name, path in paths.items()])
        return
    for name, path in paths.items():
        typer.echo(f"{name}  {path}")


def _show(name: str, experiment_id: str | None, head: int | None, tail: int | None, *, path_only: bool) -> None:
    if head is not None and tail is not None:
        raise typer.BadParameter("give --head or --tail, not both")
    path = any_experiment(experiment_id).directory / "log" / name
    if path_only:
        typer.echo(path)
        return
    try:
        _copy(path, head, tail)
    except FileNotFoundError:
        raise LogError(f"{path} does not exist; was the experiment's directory moved?") from None
    if path.stat().st_size == 0:
        _output.notice(f"{path} is empty; what the manager did is in {path.with_name('nnimanager.log')}")


def _copy(path: Path, head: int | None, tail: int | None) -> None:
    for piece in read_log(path, head, tail):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
