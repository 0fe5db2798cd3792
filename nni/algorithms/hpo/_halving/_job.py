"""What a schedule of budgets says to the advisor around it, and hears from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Configuration = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A trial to start.

    Attributes
    ----------
    budget
        What it may spend.
    configuration
        One that did well with a smaller budget; None for a new one.
    place
        Where the schedule keeps it.
    """

    budget: int
    configuration: Configuration | None
    place: Any = None


class Scheduler(Protocol):
    """Decides with which budget a trial runs and which configurations run again with a larger one."""

    def next(self) -> Job | None:
        """Return what to start next; None while that depends on trials that run."""

    def start(self, number: int, job: Job, configuration: Configuration) -> None:
        """Note that the trial of a job runs, under a number of its own."""

    def adopt(self, number: int, configuration: Configuration, budget: int) -> bool:
        """Note a trial that was started before a restart; return whether there is a place for it."""

    def finish(self, number: int, loss: float) -> None:
        """Take the result of a trial; infinity is a failure's. A number that is not running is ignored."""

    def give_back(self, number: int) -> None:
        """Note that a trial was taken away before it could show anything: its job is to be done again."""

    def restrict(self, fits: Callable[[Configuration], bool]) -> None:
        """Let no configuration run again that does not fit (any more)."""
