"""``nnictl log …``: what the manager and the trials wrote. Read from disk, so it works whatever has died (PLT-052)."""

from __future__ import annotations

import difflib
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from nni.common.errors import NniError
from nni.tools.nnictl import _completion, _output
from nni.tools.nnictl._resolve import AsJson, ExperimentId, any_experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

app = typer.Typer(help="Show logs.", no_args_is_help=True)

_BLOCK = 65536
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
    *,
    as_json: AsJson = False,
) -> None:
    """Print the path of a trial's log, or of all trials' logs."""
    directory = any_experiment(experiment_id).directory
    trials = directory / "trials"
    known = {entry.name: entry / "trial.log" for entry in _by_age(trials)}
    if trial_id is None:
        _list_paths(known, as_json=as_json)
        return
    if trial_id not in known:
        near = difflib.get_close_matches(trial_id, known, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        silent = "; a function's trial has a log only if it printed something or failed"
        raise LogError(f"no trial {trial_id!r} in {trials}{hint}{silent if (directory / 'function').is_dir() else ''}")
    _list_paths({trial_id: known[trial_id]}, as_json=as_json) if as_json else typer.echo(known[trial_id])


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
    with path.open("rb") as stream:
        if tail is not None:
            stream.seek(tail_offset(path, tail))
        for line in islice(stream, head):
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def tail_offset(path: Path, lines: int) -> int:
    """Return where the last ``lines`` lines of a file begin, reading only as much of its end as needed."""
    if lines == 0:
        return path.stat().st_size
    found = -1  # the newline that ends the file begins no line
    for start, block in _blocks_from_end(path):
        position = len(block)
        if found == -1 and not block.endswith(b"\n"):
            found = 0
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            found += 1
            if found == lines:
                return start + position + 1
    return 0


def _blocks_from_end(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as stream:
        start = stream.seek(0, os.SEEK_END)
        while start > 0:
            size = min(_BLOCK, start)
            start = stream.seek(start - size)
            yield start, stream.read(size)
