"""``nnictl create``, ``resume`` and ``view``: the commands that start a manager."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nni.tools.nnictl import _banner, _completion, _output

if TYPE_CHECKING:
    from collections.abc import Callable

    from nni.experiment.launch import Launched, LaunchStep

_PATIENCE_CALLS = 20  # WAITING comes twice a second: 10 s

Port = Annotated[int, typer.Option("--port", "-p", help="Port of REST API and web page.")]
Debug = Annotated[bool, typer.Option("--debug", "-d", help="Debug logs; no version check of trial runners.")]
Foreground = Annotated[
    bool,
    typer.Option("--foreground", "-f", help="Print the log here until the experiment is stopped; Ctrl-C stops it."),
]
Host = Annotated[
    str, typer.Option("--host", help="Address to listen on; on others than loopback the printed token is required.")
]
UrlPrefix = Annotated[str | None, typer.Option("--url_prefix", "--url-prefix", help="Serve under this URL path.")]


def create(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file that describes the experiment.")],
    port: Port = 8080,
    url_prefix: UrlPrefix = None,
    host: Host = "127.0.0.1",
    *,
    debug: Debug = False,
    foreground: Foreground = False,
) -> None:
    """Create an experiment and start it; it runs in the background until it is stopped."""
    from nni.config import check_available
    from nni.tools.nnictl._files import load_config

    experiment = load_config(config)
    check_available(experiment)
    experiment.validate()
    canonical = experiment.canonical()
    from nni.experiment.launch import LaunchOptions
    from nni.experiment.launch import create as launch

    options = LaunchOptions(port=port, debug=debug, url_prefix=url_prefix, host=host)
    _present(lambda notify: launch(canonical, options, notify=notify), foreground=foreground)


def resume(
    experiment_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of the stopped experiment, or the beginning of it.",
            autocompletion=_completion.stopped,
        ),
    ],
    port: Port = 8080,
    experiment_dir: Annotated[
        Path | None,
        typer.Option("--experiment_dir", "--experiment-dir", "-e", help="Its directory, if nnictl does not know it."),
    ] = None,
    url_prefix: UrlPrefix = None,
    host: Host = "127.0.0.1",
    *,
    debug: Debug = False,
    foreground: Foreground = False,
) -> None:
    """Continue a stopped experiment: finished trials are kept, trials that still run are taken over."""
    from nni.experiment.launch import LaunchOptions
    from nni.experiment.launch import resume as launch
    from nni.tools.nnictl._resolve import any_experiment

    chosen = any_experiment(experiment_id).id if experiment_dir is None else experiment_id
    options = LaunchOptions(port=port, debug=debug, url_prefix=url_prefix, host=host)
    _present(lambda notify: launch(chosen, options, directory=experiment_dir, notify=notify), foreground=foreground)


def view(
    experiment_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of the stopped experiment, or the beginning of it.",
            autocompletion=_completion.stopped,
        ),
    ],
    port: Port = 8080,
    experiment_dir: Annotated[
        Path | None,
        typer.Option(
            "--experiment_dir",
            "--experiment-dir",
            "-e",
            help="Its directory, or a copy of it that nnictl does not know.",
        ),
    ] = None,
    url_prefix: UrlPrefix = None,
    host: Host = "127.0.0.1",
    *,
    foreground: Annotated[bool, typer.Option("--foreground", "-f", help="Stay until Ctrl-C ends the view.")] = False,
) -> None:
    """Look at a stopped experiment without changing anything of it; 'nnictl stop' ends the view."""
    from nni.experiment.launch import LaunchOptions
    from nni.experiment.launch import view as launch
    from nni.tools.nnictl._resolve import any_experiment

    chosen = any_experiment(experiment_id).id if experiment_dir is None else experiment_id
    options = LaunchOptions(port=port, url_prefix=url_prefix, host=host)
    launched = launch(chosen, options, directory=experiment_dir, notify=_progress())
    _banner.viewing(launched)
    if foreground:
        from nni.tools.nnictl._foreground import wait_for_end

        wait_for_end(launched)


def _present(launch: Callable[[Callable[[LaunchStep, str], None]], Launched], *, foreground: bool) -> None:
    """Print the banner around a launch, and stay if wanted."""
    launched = launch(_progress())
    _banner.started(launched)
    if foreground:
        from nni.tools.nnictl._foreground import follow

        follow(launched)


def _progress() -> Callable[[LaunchStep, str], None]:
    calls = 0

    def notify(step: LaunchStep, experiment_id: str) -> None:
        nonlocal calls
        if step.name == "CREATED":
            _banner.starting()
        elif step.name == "WAITING":
            calls += 1
            if calls % _PATIENCE_CALLS == 0:
                _output.notice(f"still starting; the log is shown by: nnictl log stderr {experiment_id}")

    return notify
