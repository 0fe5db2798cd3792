"""``nnictl algo …``: the algorithms that a config can name, and those of your own (PLT-055 … PLT-058)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nni.tools.nnictl import _output

if TYPE_CHECKING:
    from nni.algorithms.registry import Algorithm

app = typer.Typer(help="The algorithms that an experiment file can name.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _names(incomplete: str) -> list[str]:
    from nni.algorithms import registry

    return [name for name in registry.names() if name.lower().startswith(incomplete.lower())]


def _own_names(incomplete: str) -> list[str]:
    from nni.algorithms import registry

    own = [algorithm.name for algorithm in registry.algorithms() if algorithm.source == "User"]
    return [name for name in own if name.lower().startswith(incomplete.lower())]


@app.command("register")
def register(
    meta: Annotated[
        Path,
        typer.Option(
            "--meta",
            "-m",
            help="YAML file with algoType, builtinName, className and, where there is one, classArgsValidator.",
        ),
    ],
) -> None:
    """Register a tuner, assessor or advisor of your own, so that experiment files can name it like a built-in one."""
    from nni.algorithms import registration
    from nni.common.errors import NniError
    from nni.tools.nnictl._files import read_yaml

    described = read_yaml(meta)
    try:
        algorithm, file = registration.register(described)
    except NniError as error:
        raise NniError(f"{meta}: {error}") from error
    _output.info(f"{algorithm.name} is registered ({algorithm.kind}, {algorithm.class_path}) in {file}")
    _output.info(f"In an experiment file: {algorithm.kind}: {{name: {algorithm.name}}}")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List all algorithms: NNI's own and the registered ones."""
    from nni.algorithms import registry

    found = registry.algorithms()
    if as_json:
        _output.print_json([_described(algorithm) for algorithm in found])
        return
    table = _output.table()
    for heading in ("Name", "Type", "Source", "Class Name", "Module Name"):
        table.add_column(heading, no_wrap=heading != "Module Name")
    for algorithm in found:
        described = _described(algorithm)
        table.add_row(*(described[key] for key in ("name", "type", "source", "className", "moduleName")))
    _output.console().print(table)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in an experiment file.", autocompletion=_names)],
    *,
    as_json: Json = False,
) -> None:
    """Show what is known about one algorithm."""
    from nni.algorithms import registry

    algorithm = registry.find(name)
    described = {**_described(algorithm), **_details(algorithm)}
    if as_json:
        _output.print_json(described)
        return
    for key, value in described.items():
        if value is not None:
            typer.echo(f"{typer.style(key, bold=True)}: {value}")


@app.command("unregister")
def unregister(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As registered.", autocompletion=_own_names)],
) -> None:
    """Forget an algorithm of your own; NNI's own ones stay."""
    from nni.algorithms import registration

    algorithm = registration.unregister(name)
    _output.info(f"{algorithm.name} is no longer registered")


def _described(algorithm: Algorithm) -> dict[str, Any]:
    return {
        "name": algorithm.name,
        "type": f"{algorithm.kind}s",
        "source": algorithm.source,
        "className": algorithm.class_name,
        "moduleName": algorithm.module_name,
    }


def _details(algorithm: Algorithm) -> dict[str, Any]:
    """Return more of an algorithm; what its class says of itself, where it can be imported."""
    from nni.algorithms import registry

    details: dict[str, Any] = {
        "classArgsValidator": algorithm.validator_path,
        "install": f"pip install nni[{algorithm.extra}]" if algorithm.extra else None,
    }
    try:
        found = registry.load_class(algorithm.name)
    except registry.AlgorithmError as error:
        return {**details, "problem": str(error)}
    return {**details, "arguments": _arguments(found, algorithm), "description": _summary(found)}


def _arguments(found: type, algorithm: Algorithm) -> str:
    import inspect

    parameters = [
        parameter
        for parameter in inspect.signature(found).parameters.values()
        if parameter.name not in algorithm.bound_args and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    defaults = {**algorithm.launch_defaults}
    shown = []
    for parameter in parameters:
        default = defaults.get(parameter.name, parameter.default)
        shown.append(parameter.name if default is inspect.Parameter.empty else f"{parameter.name}={default!r}")
    return ", ".join(shown)


def _summary(found: type) -> str | None:
    import inspect

    text = inspect.getdoc(found)
    return text.split("\n\n", maxsplit=1)[0].replace("\n", " ") if text else None
