"""All commands under their names, and what becomes of their errors."""

from __future__ import annotations

from typing import Annotated

import typer

from nni.common.errors import NniError
from nni.tools.nnictl import (
    _algo,
    _config,
    _create,
    _experiment,
    _log,
    _output,
    _package,
    _platform,
    _search_space,
    _stop,
    _tensorboard,
    _top,
    _trial,
    _update,
    _webui,
)

app = typer.Typer(
    name="nnictl",
    help="Create, watch and manage NNI experiments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command()(_create.create)
app.command()(_create.resume)
app.command()(_create.view)
app.command()(_stop.stop)
app.command()(_top.top)
app.command("ss_gen")(_search_space.ss_gen)
app.add_typer(_update.app, name="update")
_package.add_to(_experiment.app)
app.add_typer(_experiment.app, name="experiment")
app.add_typer(_trial.app, name="trial")
app.add_typer(_log.app, name="log")
app.add_typer(_config.app, name="config")
app.add_typer(_algo.app, name="algo")
app.add_typer(_webui.app, name="webui")
app.add_typer(_tensorboard.app, name="tensorboard")
app.add_typer(_platform.app, name="platform")


def _print_version(wanted: bool) -> None:
    if wanted:
        from nni.common.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", "-v", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 for a user's mistake, 2 for wrong usage.

    Parameters
    ----------
    arguments
        Without the program's name. Default: those of this process.
    """
    try:
        app(arguments, prog_name="nnictl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except NniError as error:
        _output.error(str(error))
        return 1
    except OSError as error:
        # Disk full, no permission, no such file: the surroundings' fault, not a bug (PLT-191).
        where = f"{error.filename}: " if error.filename is not None else ""
        _output.error(f"{where}{error.strerror or error}")
        return 1
    return 0
