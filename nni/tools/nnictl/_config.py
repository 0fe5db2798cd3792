"""``nnictl config …``: show, schema, convert, files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import AsJson

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


@app.command("files")
def files(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="Experiment file, or a code directory.", show_default="current folder"),
    ] = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """List the files of the code directory that are sent to other machines: those that no .nniignore names."""
    from nni.tools.nnictl._files import load_config
    from nni.training_service.code_files import collect

    path = path.expanduser()
    found = collect(path if path.is_dir() else load_config(path).trial_code_directory)
    if as_json:
        _output.print_json([{"path": _printable(file.path), "size": file.size} for file in found.files])
    else:
        for file in found.files:
            typer.echo(f"{file.size:>12}  {_printable(file.path)}")
        _output.notice(f"{len(found.files)} files, {found.size} bytes of {found.directory}")
    for name, why in found.skipped:
        _output.notice(f"left out: {_printable(name)}, {why}")
    found.require_limits()


def _printable(name: str) -> str:
    """Return a file name that may be printed, also where it is no text."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _write_new(file: Path, text: str) -> None:
    """Write a file that was not there, for its owner only: there may be passwords in it."""
    from nni.common.errors import NniError

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NniError(f"{file}: exists already; remove it, or give another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
