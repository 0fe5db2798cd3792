"""What is on the disk before what happens: nothing starts that a crash could make unknown."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from nni.manager.engine import Engine
from nni.manager.state import ExperimentState
from nni.runtime.protocol import CommandType, Message
from nni.store import Profile, Store, TrialStatus
from nni.training_service.base import Adoption, TrialForm, TrialJobDetail
from nni.training_service.bookkeeping import BookkeepingService, now


class Job:
    def __init__(self, detail: TrialJobDetail) -> None:
        self.detail = detail


class Service(BookkeepingService[Job]):
    """Runs nothing; notes what the disk knew of each trial that was to be started, and of all others then."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database
        self.known: dict[str, dict[str, str]] = {}
        self.expected: list[str] = []

    def expect_trial_job(self, form: TrialForm | None) -> None:
        if form is not None:
            assert form.id in self._rows()
            self.expected.append(form.id)

    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        self.known[form.id] = self._rows()
        detail = TrialJobDetail(form.id, TrialStatus.WAITING, now(), "", form)
        self._jobs[form.id] = Job(detail)
        detail.start_time = now()
        self._set_status(self._jobs[form.id], TrialStatus.RUNNING)
        return detail

    def _rows(self) -> dict[str, str]:
        connection = sqlite3.connect(self._database)
        try:
            return dict(connection.execute("SELECT id, status FROM trial"))
        finally:
            connection.close()

    def end(self, trial_id: str) -> None:
        job = self._jobs[trial_id]
        job.detail.end_time, job.detail.exit_code = now(), 0
        self._remember(job.detail)
        self._set_status(job, TrialStatus.SUCCEEDED)

    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        del is_early_stopped
        self.end(trial_job_id)

    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        raise AssertionError(jobs)

    async def clean_up(self) -> None:
        return

    async def run(self) -> None:
        return


class Tuner:
    """A dispatcher in this process, slow enough to be asked ahead."""

    def __init__(self, say: Any) -> None:
        self._say = say
        self._next = 0

    def start(self, mode: str) -> None:
        del mode

    def send(self, command: CommandType, data: Any = None) -> None:
        if command is CommandType.Initialize:
            self._answer(CommandType.Initialized, "")
        elif command is CommandType.RequestTrialJobs:
            for _ in range(data):
                self._answer(CommandType.NewTrialJob, {"parameter_id": self._next, "parameters": {"x": self._next}})
                self._next += 1

    def _answer(self, command: CommandType, data: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, lambda: self._say(Message(command, data)))

    async def close(self) -> None:
        return


async def run(directory: Path, trials: int) -> Service:
    database = directory / "nni.sqlite"
    profile = Profile("ABCDEFGH", {"trialConcurrency": 2, "maxTrialNumber": trials, "searchSpace": {}})
    service = Service(database)
    engine = Engine(ExperimentState(profile), Store(database), service, lambda say, _: Tuner(say))  # type: ignore[arg-type, return-value]
    engine.start()
    for _ in range(2000):
        await asyncio.sleep(0.005)
        for job in list(service._jobs.values()):
            service.end(job.detail.id)
        if engine.state.counts[TrialStatus.SUCCEEDED] == trials:
            break
    await engine.stop()
    return service


async def test_whatever_starts_is_on_the_disk(tmp_path: Path):
    service = await run(tmp_path, 30)
    assert len(service.known) == 30
    assert all(trial in rows for trial, rows in service.known.items())


async def test_a_trial_that_was_ready_starts_before_the_end_is_written_that_made_room_for_it(tmp_path: Path):
    service = await run(tmp_path, 30)
    assert service.expected  # the tuner takes longer than a trial: some are ready before there is room
    order = list(service.known)
    early = [trial for trial in service.expected if "RUNNING" in service.known[trial].values()]
    assert early, json.dumps({trial: service.known[trial] for trial in order[:6]})
