"""Asynchronous successive halving: promote whatever is good enough now, wait for nobody (Li et al. 2018)."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nni.algorithms.hpo._halving import Configuration, Job


@dataclass(order=True)
class Result:
    """A result on a rung; of equal losses the earlier trial's is the better one."""

    loss: float
    number: int
    configuration: Configuration = field(compare=False)
    promoted: bool = field(default=False, compare=False)


class Rung:
    """The results with one budget, the best first.

    Parameters
    ----------
    budget
        Of its trials.
    eta
        The best ``1 / eta`` of the results may go on.
    """

    def __init__(self, budget: int, eta: int) -> None:
        self.budget = budget
        self._eta = eta
        self.results: list[Result] = []

    def add(self, result: Result) -> None:
        """Take a result; failures count among those to be better than."""
        insort(self.results, result)

    def promotable(self) -> Result | None:
        """Return the best result of the best ``1 / eta`` that did not go on yet and is no failure."""
        best = self.results[: len(self.results) // self._eta]
        return next((each for each in best if not each.promoted and each.loss < math.inf), None)

    def promoted(self, configuration: Configuration) -> None:
        """Note that a configuration has gone on."""
        for each in self.results:
            if not each.promoted and each.configuration == configuration:
                each.promoted = True
                return

    def not_promoted(self, configuration: Configuration) -> None:
        """Note that a configuration that has gone on may go on again."""
        for each in self.results:
            if each.promoted and each.configuration == configuration:
                each.promoted = False
                return


class Rungs:
    """Decides what to start whenever a slot is free (Li et al. 2018, algorithm 2).

    The highest rung with a result to promote comes first; if there is none, a new configuration starts at the bottom.

    Parameters
    ----------
    budgets
        Of the rungs, from the bottom.
    eta
        The best ``1 / eta`` of a rung's results may go on to the next.
    """

    def __init__(self, budgets: Sequence[int], eta: int) -> None:
        self.rungs = [Rung(budget, eta) for budget in budgets]
        self._running: dict[int, tuple[int, Configuration]] = {}
        self._again: list[Configuration] = []  # new ones whose trials were taken away
        self._unfit: set[int] = set()

    def next(self) -> Job:
        """Return what to start next; there is always something."""
        for level in reversed(range(len(self.rungs) - 1)):
            result = self.rungs[level].promotable()
            if result is not None:
                return Job(self.rungs[level + 1].budget, result.configuration, (level + 1, result))
        return Job(self.rungs[0].budget, self._again[0] if self._again else None, (0, None))

    def start(self, number: int, job: Job, configuration: Configuration) -> None:
        """Note that the trial of a job runs."""
        level, result = job.place
        if result is not None:
            result.promoted = True
        elif self._again:
            self._again.pop(0)
        self._running[number] = (level, configuration)

    def adopt(self, number: int, configuration: Configuration, budget: int) -> bool:
        """Note a trial that was started before a restart; return whether there is a rung for it."""
        level = self._level(budget)
        if level is None:
            return False
        if level > 0:
            self.rungs[level - 1].promoted(configuration)
        elif configuration in self._again:
            self._again.remove(configuration)
        self._running[number] = (level, configuration)
        return True

    def finish(self, number: int, loss: float) -> None:
        """Take the result of a trial."""
        level, configuration = self._running.pop(number, (None, {}))
        if level is not None and number not in self._unfit:
            self.rungs[level].add(Result(math.inf if math.isnan(loss) else loss, number, configuration))

    def give_back(self, number: int) -> None:
        """Let a configuration whose trial was taken away go on, or begin, again."""
        level, configuration = self._running.pop(number, (None, {}))
        if level is None or number in self._unfit:
            return
        if level == 0:
            self._again.append(configuration)
        else:
            self.rungs[level - 1].not_promoted(configuration)

    def add(self, configuration: Configuration, budget: int, loss: float) -> None:
        """Take a result from elsewhere; it counts if there is a rung of its budget."""
        level = self._level(budget)
        if level is not None:
            self.rungs[level].add(Result(math.inf if math.isnan(loss) else loss, -1, configuration))

    def restrict(self, fits: Callable[[Configuration], bool]) -> None:
        """Forget results that do not fit."""
        self._unfit |= {number for number, (_, each) in self._running.items() if not fits(each)}
        self._again = [each for each in self._again if fits(each)]
        for rung in self.rungs:
            rung.results = [each for each in rung.results if fits(each.configuration)]

    def _level(self, budget: int) -> int | None:
        return next((level for level, rung in enumerate(self.rungs) if rung.budget == budget), None)
