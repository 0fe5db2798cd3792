"""``nnictl webui …`` (PLT-054)."""

from __future__ import annotations

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import AsJson, RunningId, running_experiment

app = typer.Typer(help="The web page of an experiment.", no_args_is_help=True)


@app.command("url")
def url(experiment_id: RunningId = None, *, as_json: AsJson = False) -> None:
    """Print the addresses of an experiment's page, one a line."""
    entry = running_experiment(experiment_id)
    if as_json:
        _output.print_json(entry.urls)
        return
    for address in entry.urls:
        typer.echo(address)
    if not entry.urls:
        _output.notice(f"experiment {entry.id} has no address yet; it is starting, or the list of experiments was lost")
