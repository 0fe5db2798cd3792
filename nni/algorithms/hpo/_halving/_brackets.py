"""Bracket after bracket, without end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nni.algorithms.hpo._halving._bracket import Bracket
from nni.algorithms.hpo._halving._job import Configuration, Job
from nni.algorithms.hpo._halving._table import Round


class Brackets:
    """Goes through the brackets of a table over and over (HPO-331).

    Parameters
    ----------
    table
        The rounds of each bracket, as of :func:`bracket_table`.
    serial
        Whether a bracket begins only when the one before is over. Otherwise it begins as soon as no other has a trial
        to start (HPO-323).

    Attributes
    ----------
    unfinished
        The brackets under way, oldest first.
    """

    def __init__(self, table: Sequence[Sequence[Round]], *, serial: bool = False) -> None:
        self._table = table
        self._serial = serial
        self._turn = 0
        self.unfinished: list[Bracket] = []

    def next(self) -> Job | None:
        """Return what to start next: of the oldest bracket that has anything, else of a new one."""
        for bracket in self.unfinished:
            if bracket.has_job:
                return bracket.next()
        if self._serial and self.unfinished:
            return None
        return self._open().next()

    def start(self, number: int, job: Job, configuration: Configuration) -> None:
        """Note that the trial of a job runs."""
        job.place.start(number, configuration)

    def adopt(self, number: int, configuration: Configuration, budget: int) -> bool:
        """Note a trial that was started before a restart; return whether there is a place for it."""
        if any(bracket.adopt(number, configuration, budget) for bracket in self.unfinished):
            return True
        if self._table[self._turn][0].budget != budget:
            return False
        return self._open().adopt(number, configuration, budget)

    def finish(self, number: int, loss: float) -> None:
        """Take the result of a trial."""
        any(bracket.finish(number, loss) for bracket in self.unfinished)
        self._close()

    def give_back(self, number: int) -> None:
        """Let a configuration whose trial was taken away wait for another one."""
        for bracket in self.unfinished:
            bracket.give_back(number)
        self._close()

    def restrict(self, fits: Callable[[Configuration], bool]) -> None:
        """Let no configuration run again that does not fit."""
        for bracket in self.unfinished:
            bracket.restrict(fits)
        self._close()

    def _open(self) -> Bracket:
        bracket = Bracket(self._table[self._turn])
        self._turn = (self._turn + 1) % len(self._table)
        self.unfinished.append(bracket)
        return bracket

    def _close(self) -> None:
        self.unfinished = [bracket for bracket in self.unfinished if not bracket.is_over]
