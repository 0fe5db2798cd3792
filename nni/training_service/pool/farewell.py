"""What is left to do after a trial's end: its files fetched, its directory removed, its environment given back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.common.run_key import key_of, run_of
from nni.store import TrialStatus
from nni.training_service.base import TrialForm, TrialJobDetail
from nni.training_service.pool.job import Job, LocalCopy
from nni.training_service.pool.link import LinkState, RunnerLink
from nni.training_service.pool.machine import PooledMachine
from nni.training_service.shared_storage import SharedStorage
from nni.trial_runner import protocol as p
from nni.trial_runner.script import TrialFiles

_logger = logging.getLogger(__name__)
_LAST_TRY = 5.0  # seconds for a machine without a connection to be reached once more
_SYNCED = 2.0  # seconds after which what was committed has been synced, too


class Farewell:
    """Takes leave of trials that have ended.

    Parameters
    ----------
    trials
        The folder of all trials here.
    patience
        Seconds for a runner to end and to remove what is there.
    changed
        Called when files have come, and when an environment has been given back.
    storage
        Where the files are, if not on the machine.
    """

    def __init__(
        self, trials: Path, patience: float, changed: Callable[[], None], storage: SharedStorage | None = None
    ) -> None:
        self.jobs: dict[str, Job] = {}
        """Runs of which leave has not been taken, by their keys."""
        self._trials = trials
        self._patience = patience
        self._changed = changed
        self._storage = storage
        self._downloads: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_fetching(self) -> bool:
        """Whether files are still to come."""
        return any(job.is_fetching for job in self.jobs.values())

    def committed(self, trial_ids: set[str]) -> None:
        """Go on with trials whose end is on the disk, once a cut of the power cannot take it back."""
        for job in self.jobs.values():
            if job.id in trial_ids and not job.is_committed:
                asyncio.get_running_loop().call_later(_SYNCED, self._committed, job)

    def _committed(self, job: Job) -> None:
        job.is_committed = True
        self.step(job)

    def link_ready(self, link: RunnerLink) -> None:
        """Say again what a connection may have swallowed."""
        for job in list(self.jobs.values()):
            if job.link is link:
                self.step(job)

    def fetched(self, job: Job, problems: list[str]) -> None:
        """Take note that all files of a trial are here."""
        for problem in problems:
            _logger.warning("trial %s: not fetched: %s", job.id, problem)
        job.is_fetching = False
        self.step(job)
        self._changed()

    def step(self, job: Job) -> None:
        """Take the next step: fetch a trial's files, and when all is safe have it forgotten."""
        if job.link is None:
            return
        if job.is_fetching:
            self._fetch(job, job.link)
        elif job.is_committed and job.link.state is LinkState.READY and job.key in self.jobs:
            job.link.send(p.Stop(job.key))  # of one that was given up
            job.link.send(p.Forget(job.key))
            del self.jobs[job.key]
            if job.machine is not None:
                self._let_go(job, job.machine)

    def _fetch(self, job: Job, link: RunnerLink) -> None:
        if self._storage is None:
            link.send(p.Fetch(job.key))
        elif job.key not in self._downloads:
            self._downloads.add(job.key)
            self._spawn(self._download(job, self._storage))

    async def _download(self, job: Job, storage: SharedStorage) -> None:
        problems = await storage.fetch(job.id, job.key)
        self._downloads.discard(job.key)
        self.fetched(job, problems)

    def _let_go(self, job: Job, machine: PooledMachine) -> None:
        own = machine.drop_link(job.key)
        if own is not None:
            self._spawn(self._close_own(own, job))
        if machine.is_lazy:
            after = (machine.site.idle_after or 0.0) if machine.site.is_reused else 0.0
            asyncio.get_running_loop().call_later(after, self._let_rest, machine, machine.idle_since)

    def find_strays(self, machine: PooledMachine, known: set[str]) -> None:
        """Take leave of runs that ended under a former manager, which had no time for it; not of the `known` keys."""
        hello = machine.base.hello
        if not machine.is_ready or hello is None:
            return
        there = set(hello.trials) if machine.runs_in_base else self._placed_on(machine)
        for key in there - known - self.jobs.keys():
            trial_id, run = run_of(key)
            copy = LocalCopy(TrialFiles(self._trials / trial_id))
            form = TrialForm(trial_id, 0, "")
            detail = TrialJobDetail(trial_id, TrialStatus.UNKNOWN, 0, str(copy.files.directory), form)
            stray = Job(detail, copy, machine=machine, link=machine.link_for(key), run=run)
            stray.is_fetching = run == copy.run  # of a run that was lost nothing counts
            self.add(stray)

    def add(self, job: Job) -> None:
        """Take leave of a run of which nothing is to be told any more."""
        job.is_committed = True
        self.jobs[job.key] = job
        self.step(job)

    def _placed_on(self, machine: PooledMachine) -> set[str]:
        """Return the keys of runs of which nobody has taken leave, where each has a runner of its own."""
        copies = [LocalCopy(TrialFiles(note.parent.parent)) for note in self._trials.glob("*/.nni/place")]
        return {
            key_of(copy.files.directory.name, run)
            for copy in copies
            for run, place in enumerate(copy.places, 1)
            if place == machine.name
        }

    def _let_rest(self, machine: PooledMachine, since: float) -> None:
        """Give an environment back that nobody has needed since then."""
        is_needed = machine.trials or any(job.machine is machine for job in self.jobs.values())
        if not is_needed and machine.idle_since == since and machine.base.is_started:
            self._spawn(self._rest(machine))

    async def _rest(self, machine: PooledMachine) -> None:
        await machine.rest(self._patience)
        self._changed()

    async def _close_own(self, link: RunnerLink, job: Job) -> None:
        if await self.quit(link):
            job.copy.forget_place(job.run)
        with contextlib.suppress(NniError, OSError):
            await link.environment.stop()

    async def quit(self, link: RunnerLink) -> bool:
        """Have a runner end and remove everything; returns whether it did."""
        is_coming = link.attempts == 0 and link.state is LinkState.CONNECTING
        is_gone = await link.quit(self._patience if is_coming or link.state is LinkState.READY else _LAST_TRY)
        if not is_gone:
            _logger.error("%s: cannot be reached to clean up; what is left there: nnictl platform clean", link.name)
        return is_gone

    async def settle(self) -> None:
        """Return when what is under way has come to its end, or its patience has."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)

    def close(self) -> None:
        """Let go of everything, wherever it stands."""
        for task in list(self._tasks):
            task.cancel()
        for job in self.jobs.values():
            job.copy.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
