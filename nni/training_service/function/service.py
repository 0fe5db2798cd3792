"""Trials as calls of a Python function, in worker processes that run one trial after the other."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from nni.store import TrialStatus
from nni.training_service.base import (
    Adoption,
    TrialForm,
    TrialJobDetail,
    TrialJobMetric,
)
from nni.training_service.bookkeeping import BookkeepingService, now
from nni.training_service.function.lives import Lives, Start, WorkerFiles, last_words
from nni.training_service.function.worker import Launch, Phase, Worker
from nni.trial.function_files import split
from nni.trial_runner.doorbell import Doorbell

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger(__name__)
_SWEEP = 5.0  # seconds between looks at every worker's spool, for wake-ups that got lost
_RETRY = 2.0  # seconds between attempts to start a worker that finds no room
_STARTS = 2  # workers that may die with a trial in hand that they had not begun
_LOADS = 3  # workers that may die one after the other while they load the function


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """What the service needs of the experiment's configuration.

    Parameters
    ----------
    directory
        The experiment's; ``function/`` in it holds the function.
    workers
        How many to start beforehand. As many run as there are trials at the same time.
    interpreter
        The Python that runs them.
    gpu_number
        None leaves the GPUs visible to every trial, 0 hides them (PLT-081).
    grace
        Seconds a worker gets between SIGTERM and SIGKILL.
    patience
        Seconds in which a trial that is stopped early may come to its next report, where it ends without its worker.
    idle
        Seconds after which a worker without a trial is let go.
    """

    experiment_id: str
    directory: Path
    code_directory: Path
    workers: int
    interpreter: str
    gpu_number: int | None = None
    grace: float = 10.0
    patience: float = 1.0
    idle: float = 60.0


@dataclass(slots=True)
class _Job:
    detail: TrialJobDetail
    worker: Worker | None = None
    canceled: TrialStatus | None = None
    end: dict[str, Any] | None = None
    deaths: int = 0


class FunctionTrainingService(BookkeepingService[_Job]):
    """Runs each trial as a call of one function.

    A worker leads a process group of its own and outlives the manager until its trial ends. What its trials report
    goes into its spool, each record with the id of its trial, and is read from there: the channel only wakes.
    """

    def __init__(self, settings: FunctionSettings) -> None:
        super().__init__()
        self._settings = settings
        self._lives = Lives(settings.directory / "workers")
        self._doorbell = Doorbell(settings.directory / ".doorbell", lambda _: self._read_all())
        self._launch = self._prepare_launch()
        self._numbers = count(1)
        self._waiting: deque[_Job] = deque()
        self._workers: set[Worker] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._loads_failed = 0
        self._fault = ""
        self._closing = False
        self._idle = asyncio.Event()
        self.on_fault: Callable[[str], None] = lambda message: _logger.error("%s", message)
        """Called once with the reason why no trial can run: the function cannot be loaded."""

    def _prepare_launch(self) -> Launch:
        settings, life = self._settings, str(self._lives.present)
        doorbell = str(self._doorbell.path)
        environment = {
            **os.environ,
            "NNI_PLATFORM": "local",
            "NNI_EXP_ID": settings.experiment_id,
            "NNI_SYS_DIR": life,
            "NNI_OUTPUT_DIR": life,
            "NNI_TRIAL_JOB_ID": "",
            "NNI_TRIAL_SEQ_ID": "",
            "NNI_CODE_DIR": str(settings.code_directory),
            "MULTI_PHASE": "false",
            "NNI_DOORBELL": doorbell,
            **({"CUDA_VISIBLE_DEVICES": ""} if settings.gpu_number == 0 else {}),
        }
        arguments = {
            "experiment": settings.experiment_id,
            "directory": str(settings.directory),
            "life": life,
            "code": str(settings.code_directory),
            "doorbell": doorbell,
        }
        return Launch(settings.interpreter, arguments, environment)

    # Trials

    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        """Give a trial to a worker; one that had been begun before a crash is adopted instead."""
        job = self._add(Adoption(form, 0, now(), None))
        start = self._lives.find(form.id, form.sequence_id)
        if start is not None:
            self._adopt(job, start, 0)
        elif self._fault:
            asyncio.get_running_loop().call_soon(self._fail, job, self._fault)
        else:
            self._waiting.append(job)
            self._dispatch()
        return job.detail

    def seconds_since_start(self, trial_job_id: str) -> float | None:
        """Return for how long a former life's worker has been running a trial; 0 when it has ended, None if never."""
        start = self._lives.find(trial_job_id)
        return None if start is None else start.age

    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        """End a trial; one that is stopped early may end by itself at its next report, which spares its worker."""
        job = self._jobs.get(trial_job_id)
        if job is None:
            return
        job.canceled = TrialStatus.EARLY_STOPPED if is_early_stopped else TrialStatus.USER_CANCELED
        job.detail.is_early_stopped = is_early_stopped
        if job.worker is not None:
            job.worker.stop_trial(self._settings.patience if is_early_stopped else 0.0)
        elif job in self._waiting:
            self._waiting.remove(job)
            asyncio.get_running_loop().call_soon(self._complete, job)

    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        """Watch those that run, report those that ended meanwhile, run those that were never begun."""
        for adoption in jobs:
            job = self._add(adoption)
            start = self._lives.find(adoption.form.id)
            if start is None:
                self._waiting.append(job)
            else:
                self._adopt(job, start, adoption.offset)
        self._dispatch()

    def _add(self, adoption: Adoption) -> _Job:
        form = adoption.form
        directory = str(self._settings.directory / "trials" / form.id)
        detail = TrialJobDetail(form.id, TrialStatus.WAITING, adoption.submit_time, directory, form)
        detail.start_time = adoption.start_time
        job = self._jobs[form.id] = _Job(detail)
        return job

    def _adopt(self, job: _Job, start: Start, offset: int) -> None:
        worker = self._new_worker(start.worker, max(offset, start.position))
        job.worker, worker.trial, worker.begun = worker, job.detail.id, True
        job.detail.start_time = start.wall
        self._set_status(job, TrialStatus.RUNNING)
        pid = start.pid
        if pid is not None:
            _logger.info("trial %s still runs (process %d): adopted", job.detail.id, pid)
            self._workers.add(worker)
            worker.watch(pid)
        else:
            asyncio.get_running_loop().call_soon(self._found_dead, worker, job)

    def _found_dead(self, worker: Worker, job: _Job) -> None:
        self._read_all_of(worker)
        worker.reader.close()
        if job.end is None:
            job.canceled = TrialStatus.SYS_CANCELED
            job.detail.message = "vanished while no manager ran (the machine restarted, or the process was killed)"
        self._complete(job)

    # Workers

    def _dispatch(self) -> None:
        """Give waiting trials to idle workers, and have a worker started for each of the rest."""
        if self._closing or not self._waiting:
            return
        idle = [worker for worker in self._workers if worker.phase is Phase.IDLE]
        while self._waiting and idle:
            self._begin(self._waiting.popleft(), idle.pop())
        loading = sum(worker.phase is Phase.LOADING for worker in self._workers)
        self._start_workers(len(self._waiting) - loading)

    def _begin(self, job: _Job, worker: Worker) -> None:
        worker.run(job.detail.form)
        job.worker = worker
        job.detail.start_time = now()
        job.detail.message = ""
        self._set_status(job, TrialStatus.RUNNING)

    def _start_workers(self, number: int) -> None:
        for _ in range(number):
            worker = self._new_worker(WorkerFiles(self._lives.present, str(next(self._numbers))), 0)
            try:
                worker.start(self._launch)
            except OSError as error:
                worker.reader.close()
                self._try_again_later(f"no worker can be started ({error}); trying again")
                return
            self._workers.add(worker)
            _logger.debug("worker %s started", worker.files.name)

    def _try_again_later(self, why: str) -> None:
        _logger.warning("%s", why)
        for job in self._waiting:
            if job.detail.message != why:
                job.detail.message = why
                self._tell(job)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._dispatch()

    def _new_worker(self, files: WorkerFiles, offset: int) -> Worker:
        return Worker(files, self._settings.grace, self._read, self._told, self._worker_exited, offset)

    def _told(self, worker: Worker, message: dict[str, Any]) -> None:
        if "ready" in message and worker.phase is Phase.LOADING:
            worker.trial_ended(time.monotonic())
            self._loads_failed = 0
            self._dispatch()
        elif "fault" in message:
            worker.fault = message["fault"]

    def _worker_exited(self, worker: Worker, code: int | None) -> None:
        """Conclude what became of the trial that the worker had, and of the worker's successors."""
        was_loading = worker.phase is Phase.LOADING
        worker.phase = Phase.ENDING
        self._workers.discard(worker)
        self._read_all_of(worker)
        job = self._jobs.get(worker.trial or "")
        if job is not None and job.worker is worker:
            self._conclude(job, worker, code)
        elif was_loading and not self._closing:
            self._load_failed(worker, code)
        self._dispatch()
        self._check_idle()

    def _conclude(self, job: _Job, worker: Worker, code: int | None) -> None:
        if job.end is None and not worker.begun and job.canceled is None:
            job.worker = None
            job.deaths += 1
            if job.deaths < _STARTS:
                self._waiting.appendleft(job)
                self._set_status(job, TrialStatus.WAITING)
                return
        if job.end is None:
            shell_code = code if code is None or code >= 0 else 128 - code
            complaint = last_words(worker.files, job.detail.working_directory)
            job.end = {"exit_code": shell_code, "timestamp": now(), "message": complaint}
        self._complete(job)

    def _load_failed(self, worker: Worker, code: int | None) -> None:
        self._loads_failed += 1
        how = worker.fault or f"its process ended with {'signal' if (code or 0) < 0 else 'exit code'} {abs(code or 0)}"
        message = f"the function cannot be loaded: {how}; see {worker.files.stderr}"
        if worker.fault or self._loads_failed >= _LOADS:
            self._give_up(message)
        else:
            _logger.warning("%s; trying again", message)

    def _give_up(self, message: str) -> None:
        if not self._fault:
            self._fault = message
            self.on_fault(message)
        while self._waiting:
            self._fail(self._waiting.popleft(), message)

    def _fail(self, job: _Job, message: str) -> None:
        job.end = {"exit_code": None, "timestamp": now(), "message": message}
        self._complete(job)

    # What workers report

    def _read_all(self) -> None:
        for worker in list(self._workers):
            self._read(worker)

    def _read(self, worker: Worker) -> None:
        if self._deliver(worker) and worker in self._workers:
            asyncio.get_running_loop().call_soon(self._read, worker)  # a flood: let others in between

    def _read_all_of(self, worker: Worker) -> None:
        while self._deliver(worker):
            pass

    def _deliver(self, worker: Worker) -> bool:
        """Hand over a piece of a spool; False when there was nothing. A record goes to the trial whose id it bears."""
        lines = worker.reader.read()
        reported: dict[str, list[tuple[int, bytes]]] = {}
        for position, line in lines:
            trial_id, kind = split(line)
            if kind == b"START":
                worker.begun = worker.begun or trial_id == worker.trial
            elif kind == b"END":
                self._hand_over(trial_id, reported.pop(trial_id, []))
                self._take_end(worker, trial_id, json.loads(line))
            elif trial_id in self._jobs:
                reported.setdefault(trial_id, []).append((position, line))
        for trial_id, metrics in reported.items():
            self._hand_over(trial_id, metrics)
        return bool(lines)

    def _hand_over(self, trial_id: str, lines: list[tuple[int, bytes]]) -> None:
        if lines and trial_id in self._jobs:
            metric = TrialJobMetric(trial_id, lines, lines[-1][0] + len(lines[-1][1]) + 1)
            self._pass_on(metric)

    def _take_end(self, worker: Worker, trial_id: str, record: dict[str, Any]) -> None:
        job = self._jobs.get(trial_id)
        if job is None or job.worker is not worker:
            return
        job.end = record
        if worker.phase is not Phase.BUSY:
            return  # the worker ends with it: it is told when no process is left
        if record["leaving"]:
            worker.phase = Phase.ENDING
            return
        worker.trial_ended(time.monotonic())
        self._complete(job)
        self._dispatch()

    def _complete(self, job: _Job) -> None:
        detail, end = job.detail, job.end or {}
        detail.exit_code, detail.end_time = end.get("exit_code"), end.get("timestamp", now())
        status = job.canceled or (TrialStatus.SUCCEEDED if detail.exit_code == 0 else TrialStatus.FAILED)
        if status is TrialStatus.FAILED:
            detail.message = _failure(detail.exit_code, end.get("message", ""))
        self._remember(detail)
        self._set_status(job, status)
        self._check_idle()

    # Life of the service

    async def run(self) -> None:
        """Start workers; then look now and then for wake-ups that got lost and for workers that nobody needs."""
        self._doorbell.start()
        self._start_workers(self._settings.workers - len(self._workers))
        while True:
            await asyncio.sleep(_SWEEP)
            self._read_all()
            self._let_go(time.monotonic() - self._settings.idle)

    def _let_go(self, before: float) -> None:
        for worker in self._workers:
            if worker.phase is Phase.IDLE and worker.idle_since < before:
                worker.dismiss()

    async def clean_up(self) -> None:
        """Cancel every trial and wait until no process of any worker is left."""
        self._closing = True
        for trial_id in list(self._jobs):
            await self.cancel_trial_job(trial_id)
        for worker in list(self._workers):
            if worker.phase is Phase.LOADING:
                worker.stop()
            elif worker.phase is Phase.IDLE:
                worker.dismiss()
        self._check_idle()
        await self._idle.wait()
        self.close()

    def _check_idle(self) -> None:
        if self._closing and not self._jobs and not self._workers:
            self._idle.set()

    def close(self) -> None:
        """Free what the service holds without touching the trials: they run on."""
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        for worker in self._workers:
            worker.abandon()
        self._doorbell.close()


def _failure(code: int | None, complaint: str) -> str:
    if code is None:
        return complaint or "its process was killed; an adopted trial's signal cannot be known"
    how = f"ended by signal {code - 128} (exit code {code})" if code > 128 else f"exit code {code}"
    return f"{how}: {complaint}" if complaint else how
