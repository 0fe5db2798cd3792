"""What ``nnictl create`` and ``resume`` print (PLT-020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from nni.tools.nnictl import _output

if TYPE_CHECKING:
    from nni.experiment.launch import Launched

_RULE = "-" * 71
_COMMANDS = (
    ("nnictl experiment show", "show the information of experiments"),
    ("nnictl trial ls", "list all of trial jobs"),
    ("nnictl top", "monitor the status of running experiments"),
    ("nnictl log stderr", "show stderr log content"),
    ("nnictl log stdout", "show stdout log content"),
    ("nnictl stop", "stop an experiment"),
    ("nnictl trial kill", "kill a trial job by id"),
    ("nnictl --help", "get help information about nnictl"),
)


def starting() -> None:
    """Print the line that comes before the wait."""
    _output.info("Starting restful server...")


def viewing(launched: Launched) -> None:
    """Print where a stopped experiment can be looked at, and how to end that."""
    _output.info("Successfully started Restful server!")
    typer.echo(_RULE)
    typer.echo(f"The experiment id is {launched.id}")
    typer.echo(f"The Web UI urls are: {'   '.join(launched.urls)}")
    typer.echo(_RULE)
    typer.echo(f"It is only shown: nothing of it can be changed. To end the view: nnictl stop {launched.id}")


def started(launched: Launched) -> None:
    """Print everything after the wait. Only addresses that the manager really listens on are shown."""
    platform = launched.platform
    _output.info("Successfully started Restful server!")
    _output.info(f"Setting {platform} config...")
    _output.info(f"Successfully set {platform} config!")
    _output.info("Starting experiment...")
    _output.info("Successfully started experiment!")
    typer.echo(_RULE)
    typer.echo(f"The experiment id is {launched.id}")
    typer.echo(f"The Web UI urls are: {'   '.join(launched.urls)}")
    typer.echo(_RULE)
    typer.echo()
    typer.echo("You can use these commands to get more information about the experiment")
    typer.echo(_RULE)
    typer.echo("         commands                       description")
    for number, (command, description) in enumerate(_COMMANDS, start=1):
        typer.echo(f"{number}. {command:<30}{description}")
    typer.echo(_RULE)
