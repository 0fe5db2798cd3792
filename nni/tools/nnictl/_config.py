"""``nnictl config …``: show, schema, convert."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nni.tools.nnictl import _output

app = typer.Typer(help="Current context, and what concerns experiment files.", no_args_is_help=True)


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


@app.command("convert")
def convert(
    old: Annotated[Path, typer.Argument(metavar="OLD.yml", help="Experiment file in the schema of NNI 1.x.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default the terminal.")] = None,
) -> None:
    """Write an experiment file of NNI 1.x in the current schema; it means the same."""
    from nni.config import current_yaml

    if output is None:
        typer.echo(current_yaml(old), nl=False)
        return
    new = output.expanduser()
    text = current_yaml(old, new.parent)
    _write_new(new, text)
    _output.info(f"wrote {new}")


def _write_new(file: Path, text: str) -> None:
    """Write a file that was not there, for its owner only: there may be passwords in it."""
    from nni.common.errors import NniError

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NniError(f"{file}: exists already; remove it, or give another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
