"""One training service for all platforms with a trial runner: it owns environments and places trials on them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from nni.common.errors import NniError
from nni.common.run_key import key_of, run_of
from nni.store import TrialStatus
from nni.training_service.base import (
    Adoption,
    TrialForm,
    TrialJobDetail,
    TrialJobMetric,
)
from nni.training_service.bookkeeping import BookkeepingService, now
from nni.training_service.pool.code_image import CodeImage
from nni.training_service.pool.environment import Site
from nni.training_service.pool.farewell import Farewell
from nni.training_service.pool.job import Job, LocalCopy, failure, where
from nni.training_service.pool.link import LinkState, RunnerLink
from nni.training_service.pool.machine import PooledMachine
from nni.training_service.pool.machines import Machines
from nni.training_service.pool.scripts import Scripts
from nni.training_service.pool.settings import PoolSettings
from nni.trial_runner import protocol as p
from nni.trial_runner.log_watch import LogWatch
from nni.trial_runner.script import TrialFiles

_logger = logging.getLogger(__name__)
_RETRY = 2.0  # seconds between attempts to start a trial that finds no space
_GPU_LOOK = 5.0  # seconds between looks at GPUs that others use, while a trial waits for one
_FIRST_CONTACT = 20.0  # seconds that the start of an experiment waits for a machine
_OTHERS = 3.0  # seconds that it waits for the others
_GOODBYE = 20.0  # seconds beyond the grace for machines to end trials and to remove what is there
_STRAYS = 30.0  # seconds after which a trial there that nobody asked about is one that the experiment is done with


class PoolTrainingService(BookkeepingService[Job]):
    """Places trials on the machines of a list, the least busy first, of these the most recently idle (PLT-255, 269).

    Parameters
    ----------
    settings
        See there.
    sites
        The machines.

    Raises
    ------
    CodeFilesError
        The code directory cannot be sent.
    """

    def __init__(self, settings: PoolSettings, sites: Iterable[Site]) -> None:
        super().__init__()
        self._settings = settings
        self._code = CodeImage(settings.code_directory)
        self._scripts = Scripts(settings)
        self._machines = Machines(sites, self._make_link)
        patience = settings.grace + _GOODBYE
        self._storage = settings.storage
        self._farewell = Farewell(settings.directory / "trials", patience, self._something_changed, settings.storage)
        self._logs = LogWatch(settings.log_limit, self._running)
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._is_closing = False

    # Life of the service

    async def prepare(self) -> None:
        """
        Connect to the machines; returns when there is one, or when it takes long.

        Raises
        ------
        NniError
            No machine can be used, and that will not change by itself.
        """
        machines = self._machines
        await machines.check()
        await self._open_storage()
        self._connect()
        await self._until(lambda: machines.are_reached, _FIRST_CONTACT)
        if machines.are_unusable:
            await self._let_go()
            raise NniError(machines.absences)
        # A moment more, so that the first trials are spread over all machines that answer.
        await self._until(lambda: machines.have_answered, _OTHERS)
        if not machines.are_reached:
            _logger.warning("no machine answers yet; going on to try: %s", machines.absences)

    async def run(self) -> None:
        """Connect, and place trials when there is something to place; asleep otherwise."""
        await self._open_storage()
        self._connect()
        watch = asyncio.get_running_loop().create_task(self._logs.run())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._place_all()
        finally:
            watch.cancel()

    async def _open_storage(self) -> None:
        if self._storage is not None and not self._is_closing:
            await self._storage.open(self._code)

    def _connect(self) -> None:
        if not self._is_closing:
            self._machines.connect()

    def _make_link(self, site: Site, label: str) -> RunnerLink:
        settings, limit = self._settings, self._settings.log_limit
        bounds = (None, "") if limit is None else (limit.size, limit.setting)
        greeting = p.Greeting(p.VERSION, settings.experiment_id, settings.grace, *bounds)
        storage = None if self._storage is None else self._storage.message
        return RunnerLink(site.environment(label), greeting, self._code, self, storage)

    async def clean_up(self) -> None:
        """End every trial, have every machine remove what is there, and let go of them."""
        self._is_closing = True
        for trial_id in list(self._jobs):
            await self.cancel_trial_job(trial_id)
        for machine in self._machines.values():
            self._find_strays(machine)
        patience = self._settings.grace + _GOODBYE
        await self._until(lambda: not self._jobs and not self._farewell.is_fetching, patience)
        for job in list(self._jobs.values()):
            place = "nowhere" if job.machine is None else job.machine.name
            _logger.error("trial %s may still run: no answer from %s", job.id, place)
            self._finish(job, None, now())
        await self._farewell.settle()
        await asyncio.gather(*(self._farewell.quit(link) for link in self._machines.links if link.is_started))
        await self._logs.settle()
        await self._let_go()

    def _something_changed(self) -> None:
        self._wake.set()
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                return

    def problems(self) -> list[str]:
        """Return which machines cannot be used at present, and what is not as it should be on the others."""
        return self._machines.problems()

    async def _let_go(self) -> None:
        self._farewell.close()
        await self._machines.clear()
        if self._storage is not None:
            await self._storage.close()
        await self.close()

    async def close(self) -> None:
        """Leave all machines as they are: trials there run on."""
        self._farewell.close()
        await self._machines.close()
        for job in self._jobs.values():
            job.copy.close()
        if self._storage is not None:
            self._storage.leave()

    # Trials

    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        """Queue a trial; one that was placed before a crash is looked for where it was placed."""
        return self._add(Adoption(form, 0, now(), None)).detail

    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        """Look for trials where they were placed, and queue those that never were."""
        for adoption in jobs:
            self._add(adoption)

    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        """Have a trial's process group ended; one that waits for a place never gets it."""
        job = self._jobs.get(trial_job_id)
        if job is None:
            return
        job.canceled = TrialStatus.EARLY_STOPPED if is_early_stopped else TrialStatus.USER_CANCELED
        job.detail.is_early_stopped = is_early_stopped
        if job.link is not None:
            job.link.send(p.Stop(job.key))
        else:
            asyncio.get_running_loop().call_soon(self._end_waiting, job)

    async def withdraw_trial_job(self, trial_job_id: str) -> bool:
        """Take back a trial that waits for a machine."""
        job = self._jobs.get(trial_job_id)
        if job is None or job.link is not None or job.canceled is not None or job.copy.place is not None:
            return False
        del self._jobs[trial_job_id]
        job.copy.close()
        return True

    def committed(self, trial_job_ids: set[str]) -> None:
        """Have the machines forget trials whose end is on the disk, also if the power is cut now."""
        self._farewell.committed(trial_job_ids)

    def _end_waiting(self, job: Job) -> None:
        if job.link is None and job.id in self._jobs:
            self._finish(job, None, now())

    def _add(self, adoption: Adoption) -> Job:
        form = adoption.form
        copy = LocalCopy(TrialFiles(self._settings.directory / "trials" / form.id))
        copy.create(form)
        directory = str(copy.files.directory)
        detail = TrialJobDetail(
            form.id, TrialStatus.WAITING, adoption.submit_time, directory, form, start_time=adoption.start_time
        )
        job = self._jobs[form.id] = Job(detail, copy, adoption.offset, is_new=adoption.start_time is None)
        job.run = detail.run = max(adoption.run, copy.run)
        if copy.run < job.run:  # its files are older than the store: nothing is known of where it is
            copy.begin_run(job.run)
        elif adoption.run < job.run:  # a former manager had no time to tell that it is placed again
            self._begin_anew(job, "its machine was lost")
        if self._storage is not None:
            self._storage.expect(job.id, job.key)
        self._wake.set()
        return job

    # Placing

    async def _place_all(self) -> None:
        """Give every waiting trial a machine, in the order in which they came, as far as there is room."""
        for job in [job for job in self._jobs.values() if job.link is None]:
            if self._is_closing or job.canceled is not None or job.id not in self._jobs:
                continue
            try:
                why = "" if self._return_to_place(job) else await self._place(job)
            except OSError as error:
                why = f"cannot be started: {error.strerror or error}"
                self._wake_after(_RETRY)
            if why and job.link is None and job.id in self._jobs:
                self._wait(job, why if job.run == 1 else f"{why} (run {job.run}: the one before was lost)")
        self._machines.wake(sum(job.link is None for job in self._jobs.values()))

    def _return_to_place(self, job: Job) -> bool:
        """Bind a trial to the machine where it was placed by a former manager; returns False if it was to none."""
        place = job.copy.place
        if place is None:
            return False
        machine = self._machines.get(place)
        if machine is None or machine.base.state in {LinkState.UNUSABLE, LinkState.CLOSED}:
            why = "which is not in the configuration any more" if machine is None else machine.base.problem
            self._lost(job, TrialStatus.FAILED, f"it was placed on {place}: {why}")
            return True
        gpus = job.copy.files.gpus
        machine.adopt(job.id, gpus.read_text() if gpus.exists() else "")
        self._bind(job, machine)
        return True

    async def _place(self, job: Job) -> str:
        """Place a trial; returns why it has to wait, nothing if it has not."""
        absences = self._machines.absences
        ready = [machine for machine in self._machines.values() if machine.is_ready]
        if not ready:
            return f"no machine is connected: {absences}" if absences else "waits for a machine"
        ready = [machine for machine in ready if not machine.is_full]
        if not ready:
            return f"all machines that are there are busy{'; ' if absences else ''}{absences}"
        reasons = []
        for machine in sorted(ready, key=lambda machine: (len(machine.trials), -machine.idle_since)):
            gpus, reason = await machine.place(job.id)
            if job.canceled is not None or job.link is not None:
                machine.release(job.id)
                return ""
            if gpus is not None:
                if machine.site.gpus is not None:
                    job.copy.files.gpus.write_text(",".join(map(str, gpus)))
                job.copy.place = machine.name
                machine.trials.add(job.id)
                self._bind(job, machine)
                return ""
            reasons.append(reason)
        self._wake_after(_GPU_LOOK)
        return "; ".join(reasons)

    def _bind(self, job: Job, machine: PooledMachine) -> None:
        job.machine = machine
        job.link = machine.link_for(job.key)
        self._send_start(job)

    def _wait(self, job: Job, why: str) -> None:
        if job.detail.message != why:
            job.detail.message = why
            self._tell(job)

    def _wake_after(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._wake.set)

    def _send_start(self, job: Job) -> None:
        link = job.link
        if link is None or link.hello is None or link.state is not LinkState.READY or job.id not in self._jobs:
            return
        files = job.copy.files
        gpus = files.gpus.read_text() if files.gpus.exists() else None
        script = self._scripts.render(job.detail.form, link.hello.root, job.key, gpus, link.storage)
        with contextlib.suppress(OSError):  # for people to read; the runner has its own
            files.script.write_text(script, errors="surrogateescape")
        link.send(
            p.Start(
                job.key,
                script,
                job.detail.form.parameters,
                self._code.code.digest,
                job.is_new,
                job.offset,
                job.copy.size("trial.log"),
                job.copy.size("stderr"),
            )
        )
        if job.canceled is not None:
            link.send(p.Stop(job.key))

    # What machines tell

    def link_ready(self, link: RunnerLink) -> None:
        """Say again what a machine has to know: which trials are its own, and up to where they are known."""
        for job in self._jobs.values():
            if job.link is link:
                if job.detail.status is TrialStatus.RUNNING:
                    self._wait(job, where(job))
                self._send_start(job)
        self._farewell.link_ready(link)
        machine = self._machines.behind(link)
        if machine is not None:
            asyncio.get_running_loop().call_later(_STRAYS, self._find_strays, machine)
        self._something_changed()

    def _find_strays(self, machine: PooledMachine) -> None:
        ended = {key_of(detail.id, detail.run) for detail in self._ended.values()}
        self._farewell.find_strays(machine, ended | {job.key for job in self._jobs.values()})

    def link_lost(self, link: RunnerLink) -> None:
        """Tell people; after long, give the machine's trials up."""
        self._changed.set()
        self._wake.set()
        mine = [job for job in self._jobs.values() if job.link is link]
        since = link.lost_since or time.monotonic()
        is_given_up = link.state is LinkState.UNUSABLE or time.monotonic() - since > self._settings.lost_after
        for job in mine:
            if is_given_up:
                self._lost(job, TrialStatus.FAILED, f"its machine is lost: {link.problem}")
            else:
                self._wait(job, f"no connection: {link.problem}")

    def link_said(self, link: RunnerLink, message: p.Message) -> None:
        """Take what a machine tells of its trials."""
        if isinstance(message, p.Machine):
            machine = self._machines.behind(link)
            if machine is not None:
                machine.told(message)
            return
        key = getattr(message, "trial", "")
        job = self._jobs.get(run_of(key)[0])
        if job is None or job.key != key:  # of a run that is over
            job = self._farewell.jobs.get(key)
        if job is None or job.link is not link:
            return
        try:
            self._job_said(job, message)
        except OSError as error:  # of this machine's disk; what could not be written is sent again
            _logger.warning("trial %s: %s; trying again", job.id, error)
            asyncio.get_running_loop().call_later(_RETRY, link.reset)

    def _job_said(self, job: Job, message: p.Message) -> None:
        if isinstance(message, p.Metrics):
            self._deliver(job, message)
        elif isinstance(message, p.Text):
            job.copy.add_text(message)
        elif isinstance(message, p.Running):
            self._runs(job, message)
        elif isinstance(message, p.Ended) and job.key not in self._farewell.jobs:
            self._runs(job, p.Running(job.key, message.end))
            self._end(job, message)
        elif isinstance(message, p.Refused):
            self._refused(job, message)
        elif isinstance(message, p.File):
            job.copy.add_file(message)
        elif isinstance(message, p.Fetched):
            self._farewell.fetched(job, message.problems)

    def _deliver(self, job: Job, metrics: p.Metrics) -> None:
        place = metrics.place
        lines = []
        for line in metrics.payload.split(b"\n"):
            lines.append((place, line))
            place += len(line) + 1
        job.offset = metrics.end
        self._pass_on(TrialJobMetric(job.id, lines, metrics.end))

    def _runs(self, job: Job, message: p.Running) -> None:
        assert job.link is not None
        job.is_new = False
        detail = job.detail
        if detail.start_time is None:
            detail.start_time = message.start + job.link.skew
        root = job.link.hello.root if job.link.hello else ""
        scheme = "ssh" if self._settings.platform == "remote" else self._settings.platform
        there = f"{scheme}://{job.link.name}{root}/trials/{job.key}"
        detail.url = there if self._storage is None else self._storage.place(job.key)
        detail.tags = [job.link.name]
        if detail.status is not TrialStatus.RUNNING:
            detail.message = where(job)
            detail.status = TrialStatus.RUNNING
            self._tell(job)

    def _refused(self, job: Job, message: p.Refused) -> None:
        assert job.link is not None
        self._wait(job, f"{job.link.name}: cannot be started: {message.message}; trying again")
        asyncio.get_running_loop().call_later(_RETRY, self._send_start, job)

    def _end(self, job: Job, ended: p.Ended) -> None:
        assert job.link is not None
        job.is_fetching = ended.outputs > 0 or (self._storage is not None and self._storage.fetches)
        for path in (job.copy.files.log, job.copy.files.stderr):  # there also if nothing was written to them
            path.touch()
        if ended.code is None and job.canceled is None:
            what = f"vanished on {job.link.name} (the machine restarted, or the process was killed)"
            self._lost(job, TrialStatus.SYS_CANCELED, what, ended.end + job.link.skew)
            return
        if ended.code and job.canceled is None:
            job.detail.message = failure(ended.code, ended.complaint, where(job))
        self._finish(job, ended.code, ended.end + job.link.skew)

    def _lost(self, job: Job, status: TrialStatus, why: str, end: int | None = None) -> None:
        """Have a trial that was lost with its machine run again, or end if that is not wanted or was done too often."""
        if job.canceled is None and job.run <= self._settings.reruns and not self._is_closing:
            try:
                self._run_again(job, why)
            except OSError as error:  # of this machine's disk
                why = f"{why}; and it cannot be run again: {error.strerror or error}"
            else:
                return
        job.canceled = job.canceled or status
        job.detail.message = f"{why}; it was run {job.run} times" if job.run > 1 else why
        self._finish(job, None, end or now())

    def _run_again(self, job: Job, why: str) -> None:
        """Let go of a run wherever it is, and queue the trial for the next one."""
        old = replace(job, detail=replace(job.detail), copy=LocalCopy(job.copy.files), is_fetching=False)
        job.copy.begin_run(job.run + 1)
        job.run = job.detail.run = job.run + 1
        job.machine = job.link = None
        if self._storage is not None:
            self._storage.expect(job.id, job.key)
        if old.machine is not None:
            old.machine.release(job.id)
            self._farewell.add(old)
        self._begin_anew(job, why)
        self._something_changed()

    def _begin_anew(self, job: Job, why: str) -> None:
        """Tell that nothing counts any more of what a trial did."""
        job.is_new, job.offset = True, 0
        detail = job.detail
        detail.status, detail.start_time, detail.url = TrialStatus.WAITING, None, None
        detail.message = f"waits to be run again (run {job.run}): {why}"
        self._tell(job)

    def _finish(self, job: Job, code: int | None, end: int) -> None:
        detail = job.detail
        detail.exit_code, detail.end_time = code, end
        detail.status = job.canceled or (TrialStatus.SUCCEEDED if code == 0 else TrialStatus.FAILED)
        self._remember(detail)
        job.copy.close()
        self._logs.ended(job.copy.files)
        if job.machine is not None:
            job.machine.release(job.id)
            self._farewell.jobs[job.key] = job
        self._tell(job)
        self._farewell.step(job)
        self._something_changed()

    def _running(self) -> list[TrialFiles]:
        return [job.copy.files for job in self._jobs.values() if job.link is not None]
