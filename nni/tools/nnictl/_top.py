"""``nnictl top``: the running experiments at a glance, redrawn until it is left (PLT-040)."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from nni.common.errors import NniError
from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import ExperimentId, SelectionError, is_running, running_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

    from nni.experiment.client import NniClient
    from nni.store.registry import RegistryEntry
    from nni.tools.nnictl._sight import Sight

_ANSWER_S = 5.0  # a manager that takes longer is shown as one that does not answer
_SIDE_BY_SIDE = 16


def top(
    experiment_id: ExperimentId = None,
    period: Annotated[float, typer.Option("--time", "-t", min=0.2, help="Seconds between two looks.")] = 3.0,
) -> None:
    """Watch the running experiments, or one of them; q or Ctrl-C leaves. In a pipe: print one look."""
    chosen = running_experiment(experiment_id).id if experiment_id is not None else None
    console = _output.console()
    with contextlib.closing(_Watch(chosen)) as watch:
        watch.look()
        if not watch.seen:
            raise SelectionError("no experiment is running; stopped ones: nnictl experiment list --all")
        if not console.is_terminal:
            console.print(_view(watch.seen, console, ""))
            return
        with contextlib.suppress(KeyboardInterrupt):
            _redraw(watch, console, period)
    if watch.over:
        _output.info(f"Experiment {chosen} is not running any more")


class _Watch:
    """Asks the managers, all of them at the same time, over connections that are kept."""

    def __init__(self, chosen: str | None) -> None:
        self.seen: list[Sight] = []
        self._chosen = chosen
        self._clients: dict[tuple[str, int | None], NniClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def over(self) -> bool:
        """Whether the chosen experiment has gone; without one, others may still come."""
        return self._chosen is not None and not self.seen

    def look(self) -> None:
        """Renew what is seen, oldest experiment first."""
        from concurrent.futures import ThreadPoolExecutor

        from nni.store.registry import ExperimentRegistry

        entries = [entry for entry in ExperimentRegistry().entries() if is_running(entry)]
        if self._chosen is not None:
            entries = [entry for entry in entries if entry.id == self._chosen]
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            self.seen = list(pool.map(self._ask, entries))

    def _ask(self, entry: RegistryEntry) -> Sight:
        from nni.experiment.client import NniClient
        from nni.tools.nnictl._sight import Sight

        key = (entry.id, entry.port)  # a resumed experiment may have another port
        try:
            if key not in self._clients:
                self._clients[key] = NniClient.of(entry, timeout=_ANSWER_S)
            return Sight(entry, self._clients[key].summary())
        except NniError as fault:
            return Sight(entry, None, str(fault))


def _redraw(watch: _Watch, console: Console, period: float) -> None:
    """Show one look after the other, until q is pressed or the chosen experiment has gone."""
    from rich.live import Live

    with _keyboard() as left, Live(console=console, screen=True, auto_refresh=False) as live:
        while not watch.over:
            live.update(_view(watch.seen, console, f"every {period:g}s, q leaves"), refresh=True)
            if left(period):
                return
            watch.look()


def _view(sights: list[Sight], console: Console, hint: str) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from nni.tools.nnictl import _sight

    number = f"{len(sights)} {'experiment' if len(sights) == 1 else 'experiments'} running"
    title = Text.assemble(
        ("nnictl top", "bold"), *(f"   {part}" for part in (time.strftime("%X"), number, hint) if part)
    )
    parts: list[RenderableType] = [title, "", _sight.table(sights, console.width), ""] if sights else [title]
    return Group(*parts, *_sight.remarks(sights))


@contextlib.contextmanager
def _keyboard() -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds, and returns early and True when q was pressed."""
    if not sys.stdin.isatty():
        yield _wait
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)  # keys come at once and unseen; Ctrl-C still interrupts
    try:
        yield _q_pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _q_pressed(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 1) in {b"q", b"Q", b""}:
            return True  # nothing to read: the terminal has gone
    return False
