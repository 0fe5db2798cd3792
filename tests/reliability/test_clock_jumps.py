"""The wall clock jumps by a day; only steady time decides anything (law 6). A real engine with real trials."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from reliability_lab import Lab

from nni.manager import events as ev
from nni.manager.dispatcher_link import DispatcherLink, DispatcherSettings
from nni.manager.engine import Engine
from nni.manager.events import Moment
from nni.manager.state import ExperimentState
from nni.store import ExperimentStatus, Profile, Store, TrialStatus
from nni.training_service.local import LocalSettings, LocalTrainingService

WAITS = """
import os, time, witness
witness.start()
while not os.path.exists("go"):
    time.sleep(0.02)
"""
DAY = 86_400_000  # milliseconds
JUMPS = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forwards", "backwards"])


class JumpingClock:
    """The machine's steady clock, and a wall clock that a test may set."""

    def __init__(self) -> None:
        self.offset = 0

    def moment(self) -> Moment:
        return Moment(time.time_ns() // 1_000_000 + self.offset, time.monotonic())


class Run:
    """An engine in this process, over the lab's directory."""

    def __init__(self, lab: Lab, clock: JumpingClock, **limits: str | int) -> None:
        for name in ("log", "db", "trials", "checkpoint"):
            (lab.directory / name).mkdir(parents=True, exist_ok=True)
        self.lab = lab
        store = Store(lab.directory / "db" / "nni.sqlite")
        profile = store.profile() or Profile(lab.directory.name, lab.config(**limits))
        config = profile.config
        settings = LocalSettings(
            profile.id, lab.directory, config["trialCommand"], Path(config["trialCodeDirectory"]), grace=2.0
        )
        dispatcher = DispatcherSettings(lab.directory)
        self.engine = Engine(
            ExperimentState(profile, store.counts()),
            store,
            LocalTrainingService(settings),
            lambda on_message, on_lost: DispatcherLink(dispatcher, on_message, on_lost),
            clock=clock,
        )
        self.engine.start(store.unfinished())

    def statuses(self) -> list[str]:
        return [status for (status,) in self.lab.database("SELECT status FROM trial ORDER BY sequence")]

    async def until(self, condition, what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                self.lab.fail(f"{what}; {self.engine.status}, {self.statuses()}")
            await asyncio.sleep(0.02)

    async def abandon(self) -> None:
        """Leave as SIGKILL does: nothing is decided, the trials run on."""
        self.engine.service.close()
        await self.engine._link.close()
        for task in list(self.engine._tasks):
            task.cancel()
        self.engine._timer.cancel()
        self.engine.store.close()


@pytest.fixture
async def begin(lab):
    """Start engines; whatever still runs at the end of the test is stopped."""
    clock, runs = JumpingClock(), []

    def start(**limits):
        runs.append(Run(lab, clock, **limits))
        return clock, runs[-1]

    yield start
    if runs and runs[-1].engine.state.status is not ExperimentStatus.STOPPED:
        await runs[-1].engine.stop()


@pytest.mark.slow
@JUMPS
async def test_nothing_ends_early_when_the_clock_jumps(lab, begin, jump):
    lab.write("trial.py", WAITS)
    clock, run = begin(maxTrialDuration="12h", maxExperimentDuration="12h")
    await run.until(lambda: run.statuses()[:2] == ["RUNNING"] * 2, "two running trials")
    clock.offset += jump
    for _ in range(3):
        run.engine.handle(ev.Tick())
        await asyncio.sleep(0.05)
    assert run.statuses()[:2] == ["RUNNING"] * 2
    assert run.engine.status is ExperimentStatus.RUNNING
    lab.write("go", "")
    await run.until(lambda: run.statuses()[:4] == ["SUCCEEDED"] * 4, "the next trials after the jump")
    assert 0 <= run.engine.state.profile.duration_ms < 60_000


@pytest.mark.slow
@JUMPS
async def test_limits_still_end_things_when_the_clock_jumps(lab, begin, jump):
    lab.write("trial.py", "import time, witness\nwitness.start()\ntime.sleep(600)\n")
    clock, run = begin(maxTrialDuration="3s", maxExperimentDuration="2s", trialConcurrency=1)
    await run.until(lambda: run.statuses() == ["RUNNING"], "a running trial")
    clock.offset += jump
    await run.until(lambda: run.engine.status is ExperimentStatus.DONE, "both limits to be kept")
    assert run.statuses() == ["EARLY_STOPPED"]


@pytest.mark.slow
@JUMPS
async def test_an_adopted_trial_keeps_its_time_when_the_clock_jumped_meanwhile(lab, begin, jump):
    lab.write("trial.py", WAITS)
    clock, run = begin(maxTrialDuration="12h", trialConcurrency=1, maxTrialNumber=1)
    await run.until(lambda: run.statuses() == ["RUNNING"], "a running trial")
    await run.abandon()
    clock.offset += jump
    _, run = begin()
    await run.until(lambda: run.engine.state.status is ExperimentStatus.NO_MORE_TRIAL, "the second engine")
    for _ in range(3):
        run.engine.handle(ev.Tick())
        await asyncio.sleep(0.05)
    assert run.statuses() == ["RUNNING"]
    lab.write("go", "")
    await run.until(lambda: run.statuses() == [TrialStatus.SUCCEEDED.value], "it to end by itself")
