"""Trials as processes of this machine (PLT-262)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nni.store import TrialStatus
from nni.training_service.base import (
    Adoption,
    TrialForm,
    TrialJobDetail,
    TrialJobMetric,
)
from nni.training_service.bookkeeping import BookkeepingService, now
from nni.training_service.gpu import GpuRules, Reader, read_devices
from nni.training_service.local.directories import TrialDirectories
from nni.training_service.local.gpus import LocalGpus
from nni.training_service.local.process import age, is_launcher, spawn
from nni.training_service.local.warm import WarmStart, parse_command
from nni.trial_runner.doorbell import Doorbell
from nni.trial_runner.log_watch import LogLimit, LogWatch
from nni.trial_runner.process import TrialProcess
from nni.trial_runner.script import CLAIM_TAKEN, CLAIM_UNWRITTEN, METRICS, TrialFiles
from nni.trial_runner.spool_reader import SpoolReader

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger(__name__)
_SWEEP = 5.0  # seconds between looks at every running trial's metrics, for rings that got lost
_RETRY = 2.0  # seconds between attempts to start a trial that finds no space
_TELLING = 0.5  # seconds of importing modules after which a trial that waits for it says so


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What the service needs of the experiment's configuration.

    Parameters
    ----------
    gpu_number
        None leaves the GPUs visible to every trial, 0 hides them (PLT-081).
    preload
        Modules that a fork server imports once for all trials.
    gpus
        How GPUs are given to trials; only where `gpu_number` is above 0.
    read_gpus
        Returns this machine's devices.
    grace
        Seconds a trial gets between SIGTERM and SIGKILL.
    log_limit
        How long trial.log and stderr of a trial may become; None: as long as they want.
    """

    experiment_id: str
    directory: Path
    command: str
    code_directory: Path
    gpu_number: int | None = None
    preload: tuple[str, ...] = ()
    gpus: GpuRules | None = None
    read_gpus: Reader = read_devices
    grace: float = 10.0
    log_limit: LogLimit | None = None


@dataclass(slots=True)
class _Job:
    detail: TrialJobDetail
    files: TrialFiles
    reader: SpoolReader
    process: TrialProcess | None = None
    canceled: TrialStatus | None = None
    retry: asyncio.TimerHandle | None = None


class LocalTrainingService(BookkeepingService[_Job]):
    """Runs each trial as a process group on this machine, in the code directory itself (PLT-179)."""

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__()
        self._settings = settings
        self._logs = LogWatch(settings.log_limit, self._running)
        self._doorbell = Doorbell(settings.directory / ".doorbell", self._answer)
        self._directories = TrialDirectories(
            settings.directory / "trials", settings.command, settings.code_directory, self._common_environment()
        )
        rules = settings.gpus
        self._gpus = None if rules is None else LocalGpus(rules, self._groups, settings.read_gpus)
        self._warm = self._warm_start()
        self._inherited = dict(os.environb)
        self._idle = asyncio.Event()
        self._idle.set()

    def _warm_start(self) -> WarmStart | None:
        settings = self._settings
        if not settings.preload:
            return None
        command = parse_command(settings.command)
        if isinstance(command, str):
            _logger.warning("preload has no effect on the trial command %r: %s", settings.command, command)
            return None
        return WarmStart(command, list(settings.preload), settings.code_directory)

    # Trials

    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        """Write the launcher and start it; a trial that had been started before a crash is adopted instead."""
        files = self._directories.files(form.id)
        is_prepared = self._directories.take(form)
        new = is_prepared or self._directories.create(files, form)
        job = self._add(Adoption(form, 0, now(), None), files)
        try:
            self._start_or_adopt(job, new=new, is_prepared=is_prepared)
        except (OSError, ValueError):
            self._forget(job)
            raise
        return job.detail

    def expect_trial_job(self, form: TrialForm | None) -> None:
        """Write the launcher ahead, unless the GPUs are in it that the trial will get."""
        self._directories.drop_prepared()
        if form is not None and self._gpus is None:
            self._directories.prepare(form)

    def seconds_since_start(self, trial_job_id: str) -> float | None:
        """Return the age of the trial's launcher; 0 when it has ended, None when it never started."""
        files = self._directories.files(trial_job_id)
        pid = files.read_claim()
        if pid is None:
            return None
        return age(pid) if is_launcher(pid, files) else 0.0

    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        """SIGTERM to the trial's process group, SIGKILL after the grace."""
        job = self._jobs.get(trial_job_id)
        if job is None:
            return
        job.canceled = TrialStatus.EARLY_STOPPED if is_early_stopped else TrialStatus.USER_CANCELED
        job.detail.is_early_stopped = is_early_stopped
        if job.process is not None:
            job.process.stop()
        elif job.retry is not None:  # it waits for room and has no process to end
            job.retry.cancel()
            asyncio.get_running_loop().call_soon(self._start_again, job)

    async def withdraw_trial_job(self, trial_job_id: str) -> bool:
        """Take back a trial that waits for a GPU, or for room to be started."""
        job = self._jobs.get(trial_job_id)
        waits = job is not None and job.process is None and job.retry is not None and job.canceled is None
        if job is None or job.retry is None or not waits or job.files.read_claim() is not None:
            return False
        job.retry.cancel()
        self._forget(job)
        return True

    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        """Watch those that run, report those that ended meanwhile, start those that never started."""
        for adoption in jobs:
            files = self._directories.files(adoption.form.id)
            job = self._add(adoption, files)
            try:
                self._start_or_adopt(job)
            except OSError as error:  # one that finds no space must not keep the others from being taken over
                self._start_later(job, str(error))

    def _start_or_adopt(self, job: _Job, *, new: bool = False, is_prepared: bool = False) -> None:
        if not new and job.files.read_claim() is not None:
            self._adopt(job)
            return
        why = None if self._gpus is None else self._gpus.place(job.detail.id, job.files)
        if why is None:
            if not is_prepared:
                self._directories.write(job.files, job.detail.form, self._visible_gpus(job.files), new=new)
            self._start(job)
        else:
            self._wait_for_gpu(job, why)

    def _wait_for_gpu(self, job: _Job, why: str) -> None:
        """Look again now and then: others' programs end without telling; our own trials' ends are known at once."""
        if job.detail.message != why:
            job.detail.message = why
            self._tell(job)
        job.retry = asyncio.get_running_loop().call_later(_RETRY, self._start_again, job)

    def _gpu_freed(self) -> None:
        waiting = [job for job in self._jobs.values() if job.process is None and job.retry is not None]
        for job in waiting:
            assert job.retry is not None
            job.retry.cancel()
            self._start_again(job)

    def _groups(self) -> list[int]:
        return [job.process.pid for job in self._jobs.values() if job.process is not None]

    def _running(self) -> list[TrialFiles]:
        return [job.files for job in self._jobs.values() if job.process is not None]

    def _start_later(self, job: _Job, why: str) -> None:
        _logger.warning("trial %s cannot be started (%s); trying again", job.detail.id, why)
        self._set_status(job, TrialStatus.WAITING)
        job.retry = asyncio.get_running_loop().call_later(_RETRY, self._start_again, job)

    def _start_again(self, job: _Job) -> None:
        job.retry = None
        if job.canceled is not None:
            self._finish(job, None)
            return
        try:
            self._start_or_adopt(job)
        except OSError as error:
            self._start_later(job, str(error))

    def _add(self, adoption: Adoption, files: TrialFiles) -> _Job:
        detail = TrialJobDetail(
            adoption.form.id,
            TrialStatus.WAITING,
            adoption.submit_time,
            str(files.directory),
            adoption.form,
            start_time=adoption.start_time,
        )
        job = self._jobs[adoption.form.id] = _Job(detail, files, SpoolReader(files.text(METRICS), adoption.offset))
        self._idle.clear()
        return job

    def _start(self, job: _Job) -> None:
        if self._warm is None:
            self._spawn(job)
            return
        if not self._warm.ready:
            asyncio.get_running_loop().call_later(_TELLING, self._still_importing, job)
        job.files.warm.touch()
        environment = self._directories.environment(job.files, job.detail.form) | self._visible_gpus(job.files)
        self._warm.fork(job.detail.id, job.files, environment, lambda pid: self._forked(job, pid))

    def _still_importing(self, job: _Job) -> None:
        if job.process is None and job.detail.id in self._jobs and not job.detail.message:
            job.detail.message = f"preload: importing {', '.join(self._settings.preload)}"
            self._tell(job)

    def _forked(self, job: _Job, pid: int | None) -> None:
        if pid is None:
            try:
                self._spawn(job)
            except OSError as error:
                self._start_later(job, str(error))
                return
        else:
            job.detail.start_time = now()
            self._watch(job, pid, child=False)
        if job.canceled is not None and job.process is not None:
            job.process.stop()

    def _spawn(self, job: _Job) -> None:
        pid = spawn(job.files, self._inherited)
        job.detail.start_time = now()
        self._watch(job, pid, child=True)

    def _adopt(self, job: _Job) -> None:
        pid = job.files.read_claim()
        if pid is not None and is_launcher(pid, job.files):
            _logger.info("trial %s still runs (process %d): adopted", job.detail.id, pid)
            if self._gpus is not None:
                self._gpus.adopt(job.detail.id, job.files)
            self._watch(job, pid, child=False)
        else:
            # It ended, or vanished, while nobody watched.
            self._set_status(job, TrialStatus.RUNNING)
            if job.files.read_state() is None:
                job.canceled = TrialStatus.SYS_CANCELED
                job.detail.message = "vanished while no manager ran (the machine restarted, or the process was killed)"
            asyncio.get_running_loop().call_soon(self._finish, job, None)

    def _watch(self, job: _Job, pid: int, *, child: bool) -> None:
        def on_exit(code: int | None) -> None:
            job.process = None
            # A code of its own says that the launcher found the trial started; what was adopted leaves no code.
            if code in {CLAIM_TAKEN, None} and job.files.read_claim() not in {pid, None}:
                self._adopt(job)  # another manager had started it a moment before it was killed
            elif child and code == CLAIM_UNWRITTEN and not job.files.claim.exists():
                self._start_later(job, "no space left to record its process id")
            else:
                self._finish(job, code)

        job.process = TrialProcess(pid, child=child, grace=self._settings.grace, on_exit=on_exit)
        job.detail.message = ""
        self._set_status(job, TrialStatus.RUNNING)

    def _common_environment(self) -> dict[str, str]:
        settings = self._settings
        variables = {
            "NNI_PLATFORM": "local",
            "NNI_EXP_ID": settings.experiment_id,
            "NNI_CODE_DIR": str(settings.code_directory),
            "MULTI_PHASE": "false",
            "NNI_DOORBELL": str(self._doorbell.path),
        }
        if settings.gpu_number == 0:
            variables["CUDA_VISIBLE_DEVICES"] = ""
        elif settings.gpus is not None:
            # The driver's numbers, which the indices are, are CUDA's only in this order.
            variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        return variables

    def _visible_gpus(self, files: TrialFiles) -> dict[str, str]:
        return {} if self._gpus is None else {"CUDA_VISIBLE_DEVICES": self._gpus.visible(files)}

    # What trials report, and their end

    def _answer(self, ids: set[str]) -> None:
        for trial_id in ids or list(self._jobs):
            job = self._jobs.get(trial_id)
            if job is not None and self._deliver(job):
                asyncio.get_running_loop().call_soon(self._answer, {trial_id})  # a flood: let others in between

    def _deliver(self, job: _Job) -> bool:
        """Hand over a piece of what the trial reported; False when there was nothing."""
        lines = job.reader.read()
        if lines:
            metric = TrialJobMetric(job.detail.id, lines, job.reader.offset)
            self._pass_on(metric)
        return bool(lines)

    def _finish(self, job: _Job, code: int | None) -> None:
        if self._deliver(job) and not job.reader.at_end:
            asyncio.get_running_loop().call_soon(self._finish, job, code)
            return
        detail = job.detail
        state = job.files.read_state()
        detail.exit_code, detail.end_time = state if state is not None else (_shell_code(code), now())
        succeeded = detail.exit_code == 0
        status = job.canceled or (TrialStatus.SUCCEEDED if succeeded else TrialStatus.FAILED)
        if status is TrialStatus.FAILED:
            detail.message = _failure(detail.exit_code, job.files.last_complaint())
        self._forget(job)
        self._logs.ended(job.files)
        self._remember(detail)
        self._set_status(job, status)

    def _forget(self, job: _Job) -> None:
        job.reader.close()
        self._jobs.pop(job.detail.id, None)
        if self._gpus is not None:
            self._gpus.release(job.detail.id)
            asyncio.get_running_loop().call_soon(self._gpu_freed)
        if not self._jobs:
            self._idle.set()

    # Life of the service

    async def run(self) -> None:
        """Listen to the doorbell, sweep now and then for rings that got lost, and watch the logs."""
        self._doorbell.start()
        watch = asyncio.get_running_loop().create_task(self._logs.run())
        try:
            while True:
                self._answer(set())
                await asyncio.sleep(_SWEEP)
        finally:
            watch.cancel()

    async def clean_up(self) -> None:
        """Cancel every trial and wait until no process of any is left."""
        for trial_id in list(self._jobs):
            await self.cancel_trial_job(trial_id)
        await self._idle.wait()
        self._directories.drop_prepared()
        await self._logs.settle()
        self.close()
        if self._warm is not None:
            await self._warm.wait_closed()

    def close(self) -> None:
        """Free what the service holds without touching the trials: they run on."""
        for job in self._jobs.values():
            if job.process is not None:
                job.process.detach()
            if job.retry is not None:
                job.retry.cancel()
            job.reader.close()
        if self._warm is not None:
            self._warm.close()
        self._doorbell.close()


def _shell_code(code: int | None) -> int | None:
    """Return a wait status the way a shell does: 128 + signal for a process that a signal ended."""
    return code if code is None or code >= 0 else 128 - code


def _failure(code: int | None, complaint: str) -> str:
    if code is None:
        return "its process was killed; an adopted trial's signal cannot be known"
    how = f"ended by signal {code - 128} (exit code {code})" if code > 128 else f"exit code {code}"
    if complaint.endswith("No module named 'nni'"):  # a manager that was started without its environment activated
        complaint += f" for the Python of the trial command; nnictl has it: {sys.executable}"
    return f"{how}: {complaint}" if complaint else how
