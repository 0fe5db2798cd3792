"""``nnictl config …``: show, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nni.tools.nnictl import _output

app = typer.Typer(help="Current context, and the JSON Schema of experiment files.", no_args_is_help=True)


@app.command("show")
def show() -> None:
    """Print the current context: the experiment that was created last."""
    from nni.store.registry import ExperimentRegistry
    from nni.tools.nnictl._resolve import SelectionError, context

    last = context(ExperimentRegistry().entries())
    if last is None:
        raise SelectionError("there is no context yet: no experiment has been created")
    _output.print_json(last.to_json())


@app.command("schema")
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default the terminal.")] = None,
) -> None:
    """Print the JSON Schema of experiment files, with which editors complete and check them."""
    import json

    from nni.config import json_schema

    text = json.dumps(json_schema(), indent=2)
    if output is None:
        typer.echo(text)
    else:
        output.expanduser().write_text(text + "\n", encoding="utf-8")
