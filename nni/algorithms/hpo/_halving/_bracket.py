"""One run of successive halving (Jamieson and Talwalkar 2016)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

from nni.algorithms.hpo._halving._job import Configuration, Job
from nni.algorithms.hpo._halving._table import Round


class Bracket:
    """Rounds in which all configurations run with the same budget, and after which the best go on to the next.

    A round ends when each of its configurations has a result or has failed. What failed counts as a result, the worst
    one, and never goes on: if fewer than the next round has places for did not fail, it is a smaller round.

    Parameters
    ----------
    rounds
        Size and budget of each.
    """

    def __init__(self, rounds: Sequence[Round]) -> None:
        self._rounds = rounds
        self._current = 0
        self._new = rounds[0].size  # configurations of the first round that are still to be drawn
        self._waiting: deque[Configuration] = deque()
        self._running: dict[int, Configuration] = {}
        self._unfit: set[int] = set()
        self._done: list[tuple[float, int, Configuration]] = []
        self.is_over = False

    @property
    def budget(self) -> int:
        """The budget of the current round."""
        return self._rounds[self._current].budget

    @property
    def has_job(self) -> bool:
        """Whether there is a trial to start."""
        return bool(self._new or self._waiting)

    def next(self) -> Job:
        """Return the trial to start next."""
        return Job(self.budget, self._waiting[0] if self._waiting else None, self)

    def start(self, number: int, configuration: Configuration) -> None:
        """Note that the trial of :meth:`next` runs."""
        if self._waiting:
            self._waiting.popleft()
        else:
            self._new -= 1
        self._running[number] = configuration

    def adopt(self, number: int, configuration: Configuration, budget: int) -> bool:
        """Note a trial that was started before a restart; return whether it has a place here."""
        if self.is_over or budget != self.budget:
            return False
        if configuration in self._waiting:
            self._waiting.remove(configuration)
        elif self._new:
            self._new -= 1
        else:
            return False
        self._running[number] = configuration
        return True

    def finish(self, number: int, loss: float) -> bool:
        """Take a result; return whether the trial ran here."""
        configuration = self._running.pop(number, None)
        if configuration is None:
            return False
        failed = math.isnan(loss) or number in self._unfit
        self._done.append((math.inf if failed else loss, number, configuration))
        self._settle()
        return True

    def give_back(self, number: int) -> None:
        """Let a configuration whose trial was taken away wait for another one."""
        if number in self._unfit:
            self.finish(number, math.inf)
        elif number in self._running:
            self._waiting.append(self._running.pop(number))

    def restrict(self, fits: Callable[[Configuration], bool]) -> None:
        """Treat configurations that do not fit as failed."""
        self._unfit |= {number for number, each in self._running.items() if not fits(each)}
        self._done = [(loss if fits(each) else math.inf, number, each) for loss, number, each in self._done]
        dropped = [each for each in self._waiting if not fits(each)]
        self._waiting = deque(each for each in self._waiting if fits(each))
        self._done.extend((math.inf, -1, each) for each in dropped)
        self._settle()

    def _settle(self) -> None:
        """Begin the next round if this one is through."""
        if self.has_job or self._running or self.is_over:
            return
        last = self._current + 1 == len(self._rounds)
        places = 0 if last else self._rounds[self._current + 1].size
        ranked = sorted(self._done, key=lambda entry: entry[:2])  # of equal losses the earlier one
        survivors = [configuration for loss, _, configuration in ranked if loss < math.inf][:places]
        self._done = []
        self._waiting.extend(survivors)
        self._current += not last
        self.is_over = not survivors
