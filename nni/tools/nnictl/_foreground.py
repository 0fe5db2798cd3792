"""``--foreground``: the manager's log in the terminal, a live status under it, and Ctrl-C to stop (PLT-025)."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from nni.tools.nnictl import _output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from nni.experiment.launch import Launched
    from nni.store.registry import RegistryEntry

_LOG_PERIOD_S = 0.2
_STATUS_PERIOD_S = 1.0


def follow(launched: Launched) -> None:
    """Print the manager's log until the manager ends, or Ctrl-C or SIGTERM stops the experiment."""
    from nni.store.registry import ExperimentRegistry

    entry = ExperimentRegistry().get(launched.id)
    _end_by_sigterm()
    try:
        _stream(entry)
    except KeyboardInterrupt:
        from nni.experiment.stop import stop_experiment

        _output.info("Stopping experiment, please wait...")
        stop_experiment(entry)
    _output.info("Experiment stopped")


def wait_for_end(launched: Launched) -> None:
    """Stay until a view is ended, from elsewhere or with Ctrl-C or SIGTERM."""
    from nni.store.registry import ExperimentRegistry

    entry = ExperimentRegistry().get(launched.id)
    _end_by_sigterm()
    try:
        while entry.alive:
            time.sleep(_LOG_PERIOD_S)
    except KeyboardInterrupt:
        from nni.experiment.stop import stop_experiment

        stop_experiment(entry)
    _output.info("View ended")


def _end_by_sigterm() -> None:
    """Take SIGTERM for Ctrl-C: who supervises this process (systemd, a container) means the experiment with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _stream(entry: RegistryEntry) -> None:
    console = _output.console()
    with _status_line(console, entry) as refresh:
        for lines in _log_lines(entry):
            for line in lines:
                console.print(line.rstrip("\n"), markup=False, soft_wrap=True)
            refresh()


def _log_lines(entry: RegistryEntry) -> Iterator[list[str]]:
    """Yield the new lines of the log again and again, also none, until the manager is gone."""
    path = entry.directory / "log" / "nnimanager.log"
    path.touch()
    with path.open(encoding="utf-8", errors="replace") as stream:
        alive = True
        while alive:
            alive = entry.alive  # asked before reading, so that the last words are read too
            yield stream.readlines()
            time.sleep(_LOG_PERIOD_S if alive else 0)


def _status_line(console: Console, entry: RegistryEntry) -> Any:
    return _LiveStatus(console, entry) if sys.stdout.isatty() else _NoStatus()


class _NoStatus:
    """In a pipe or a file a status that redraws itself would be noise."""

    def __enter__(self) -> Any:
        return lambda: None

    def __exit__(self, *_: object) -> None:
        pass


class _LiveStatus:
    def __init__(self, console: Console, entry: RegistryEntry) -> None:
        from nni.experiment.client import NniClient

        self._status = console.status("starting")
        self._client = NniClient.of(entry)
        self._next = 0.0

    def __enter__(self) -> Any:
        self._status.start()
        return self._refresh

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        self._client.close()

    def _refresh(self) -> None:
        from nni.experiment.client import NoAnswerError
        from nni.tools.nnictl._describe import one_line

        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _STATUS_PERIOD_S
        try:
            self._status.update(one_line(self._client.summary()))
        except NoAnswerError:
            self._status.update("stopping")
