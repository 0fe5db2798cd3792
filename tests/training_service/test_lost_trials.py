"""Trials that were lost with their machine: they fail, or are run again, and never count twice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from nni.common.run_key import key_of, run_of
from nni.store import TrialStatus
from nni.testing.training_service import Observer, form
from nni.training_service import Adoption
from nni.training_service.pool import (
    Channel,
    Environment,
    PoolSettings,
    PoolTrainingService,
    ProcessSite,
    UnreachableError,
)
from nni.training_service.pool.job import LocalCopy
from nni.trial_runner.script import TrialFiles

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("machines_end")]
EXPERIMENT = "ABCDEFGH"
# Reports a step, its process id and its place; waits for a file on the machine where the test wants it to.
TRIAL = """
import pathlib, time, nni
here = pathlib.Path.home()
for step in range(2):
    nni.report_intermediate_result(f"{here.name} {step}")
print("on", here.name, flush=True)
while not (pathlib.Path.home() / "go").exists():
    time.sleep(0.02)
nni.report_final_result(here.name)
"""


class Site(ProcessSite):
    """A machine that a test can cut off, so that what runs there runs on."""

    is_cut = False

    def environment(self, label: str) -> Environment:
        return _Reachable(self, super().environment(label))


class _Reachable(Environment):
    def __init__(self, site: Site, inner: Environment) -> None:
        self.name = inner.name
        self._site = site
        self._inner = inner
        self._channel: Channel | None = None

    async def connect(self) -> Channel:
        if self._site.is_cut:
            raise UnreachableError(f"{self.name}: cannot be reached (the test cut it off)")
        return await self._inner.connect()


class Machines:
    """Some machines, and a service for them."""

    def __init__(self, directory: Path, count: int, *, is_reused: bool = True, reruns: int = 1) -> None:
        self.directory = directory / "experiment"
        (self.directory / "trials").mkdir(parents=True)
        (directory / "code").mkdir()
        (directory / "code" / "trial.py").write_text(TRIAL)
        self.homes = {f"m{number}": directory / f"m{number}" for number in range(count)}
        for home in self.homes.values():
            home.mkdir()
        self.is_reused = is_reused
        self.reruns = reruns
        self._code = directory / "code"

    def service(self) -> PoolTrainingService:
        self.sites = {name: Site(name, home, EXPERIMENT, is_reused=self.is_reused) for name, home in self.homes.items()}
        settings = PoolSettings(
            EXPERIMENT,
            self.directory,
            "python3 trial.py",
            self._code,
            "test",
            grace=1.0,
            lost_after=0.2,
            reruns=self.reruns,
        )
        return PoolTrainingService(settings, self.sites.values())

    def cut(self, service: PoolTrainingService, name: str) -> None:
        """Cut a machine off."""
        self.sites[name].is_cut = True
        for link in service._machines[name].links:
            link.reset()

    def let_go(self, name: str) -> None:
        (self.homes[name] / "go").touch()

    def trials(self, name: str) -> list[psutil.Process]:
        """Return the trials that run on a machine."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if environment.get("HOME") == str(self.homes[name]) and "NNI_TRIAL_JOB_ID" in environment:
                    found.append(process)
            except psutil.Error:
                pass
        return found


async def started(seen: Observer, trial_id: str = "t0") -> str:
    """Return where a trial runs, once it has reported twice there."""
    await seen.until(lambda: len(seen.lines.get(trial_id, [])) >= 2, "two results")
    return str(json.loads(seen.lines[trial_id][-1][1])["value"]).partition(" ")[0]


def values(seen: Observer, since: int, trial_id: str = "t0") -> list[object]:
    return [json.loads(line)["value"] for _, line in seen.lines[trial_id][since:]]


@pytest.mark.parametrize("is_reused", [True, False])
async def test_a_trial_that_is_lost_with_its_machine_is_run_again_elsewhere(tmp_path: Path, is_reused: bool):
    machines = Machines(tmp_path, 2, is_reused=is_reused)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    first = await started(seen)
    other = "m1" if first == "m0" else "m0"
    told, begun = len(seen.lines["t0"]), len(seen.history["t0"])
    machines.cut(service, first)
    await seen.until(lambda: seen.details["t0"].run == 2, "the loss")
    assert TrialStatus.WAITING in seen.history["t0"][begun:]
    machines.let_go(first)  # it goes on there, and ends: nobody counts that
    machines.let_go(other)
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    assert values(seen, told) == [f"{other} 0", f"{other} 1", other]
    places = [place for place, _ in seen.lines["t0"][told:]]
    assert places[0] == 0
    assert seen.details["t0"].message == f"on {other} (run 2: the one before was lost with its machine)"
    trial = machines.directory / "trials" / "t0"
    assert (trial / "run-1" / "trial.log").read_text() == f"on {first}\n"
    assert (trial / "trial.log").read_text() == f"on {other}\n"
    machines.sites[first].is_cut = False
    await seen.until(lambda: service._machines[first].is_ready, "the return of the machine")
    await seen.close()
    assert not (machines.homes[first] / ".nni-remote").exists()


async def test_what_still_runs_on_a_machine_that_comes_back_is_ended_there(tmp_path: Path):
    machines = Machines(tmp_path, 2)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    first = await started(seen)
    machines.cut(service, first)
    await seen.until(lambda: seen.details["t0"].run == 2, "the loss")
    assert machines.trials(first)
    machines.sites[first].is_cut = False
    await seen.until(lambda: not machines.trials(first), "the end of the first run")
    there = machines.homes[first] / ".nni-remote" / EXPERIMENT / first / "trials"
    await seen.until(lambda: list(there.iterdir()) == [], "its files being removed")
    assert not seen.ended("t0")
    await seen.close()


async def test_without_the_wish_it_fails_and_after_as_many_runs_as_wished_too(tmp_path: Path):
    machines = Machines(tmp_path, 3, reruns=1)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    machines.cut(service, await started(seen))
    await seen.until(lambda: seen.history["t0"][-1:] == [TrialStatus.RUNNING] and seen.details["t0"].run == 2, "run 2")
    machines.cut(service, seen.details["t0"].tags[0])
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.FAILED
    assert seen.details["t0"].message.startswith("its machine is lost: ")
    assert seen.details["t0"].message.endswith("; it was run 2 times")
    await seen.close()


@pytest.mark.parametrize(
    ("has_forgotten", "how"), [(False, signal.SIGKILL), (False, signal.SIGTERM), (True, signal.SIGKILL)]
)
async def test_a_trial_that_vanishes_is_run_again_on_the_same_machine(
    tmp_path: Path, has_forgotten: bool, how: signal.Signals
):
    """As after the machine's restart: no process is left, and the disk still has the files, or has not."""
    machines = Machines(tmp_path, 1)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    await started(seen)
    told = len(seen.lines["t0"])
    hello = service._machines["m0"].base.hello
    assert hello is not None
    groups = {os.getpgid(process.pid) for process in machines.trials("m0")}
    psutil.Process(hello.pid).kill()
    for group in groups:
        os.killpg(group, how)
    if has_forgotten:
        (Path(hello.root) / "trials" / "t0").rename(tmp_path / "away")
    machines.let_go("m0")
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    assert values(seen, told) == ["m0 0", "m0 1", "m0"]
    await seen.close()
    assert not (machines.homes["m0"] / ".nni-remote").exists()


async def test_the_next_manager_knows_of_a_run_of_which_the_last_could_not_tell(tmp_path: Path):
    machines = Machines(tmp_path, 2)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    first = await started(seen)
    stored = seen.details["t0"].start_time, seen.offsets["t0"]  # and nothing later
    machines.cut(service, first)
    await seen.until(lambda: seen.history["t0"][-1] is TrialStatus.RUNNING and seen.details["t0"].run == 2, "run 2")
    await seen.abandon()
    await service.close()
    second = machines.service()
    await second.prepare()
    again = Observer(second)
    await second.adopt_trial_jobs([Adoption(form("t0", "x"), stored[1], 1, stored[0])])
    assert again.details["t0"].run == 2
    for name in machines.homes:
        machines.let_go(name)
    await again.until(lambda: again.ended("t0"), "the end")
    assert again.history["t0"] == [TrialStatus.WAITING, TrialStatus.RUNNING, TrialStatus.SUCCEEDED]
    other = "m1" if first == "m0" else "m0"
    assert values(again, 0) == [f"{other} 0", f"{other} 1", other]
    await again.close()
    assert not any((home / ".nni-remote").exists() for home in machines.homes.values())


async def test_a_store_that_is_ahead_of_the_files_counts(tmp_path: Path):
    machines = Machines(tmp_path, 1)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    machines.let_go("m0")
    await service.adopt_trial_jobs([Adoption(form("t0", "x"), 0, 1, None, run=3)])
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.details["t0"].run == 3
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    await seen.close()


async def test_a_trial_that_was_cancelled_is_not_run_again(tmp_path: Path):
    machines = Machines(tmp_path, 1)
    service = machines.service()
    await service.prepare()
    seen = Observer(service)
    await service.submit_trial_job(form("t0", "x"))
    await started(seen)
    machines.sites["m0"].is_cut = True
    service._machines["m0"].base.reset()
    await service.cancel_trial_job("t0")
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.USER_CANCELED
    await seen.close()


def test_no_two_runs_have_the_same_name_with_a_runner():
    for trial_id in ("t0", "AbC.dE", "x.2y"):
        for run in (1, 2, 11):
            assert run_of(key_of(trial_id, run)) == (trial_id, run)


def test_the_places_of_runs_outlive_the_manager(tmp_path: Path):
    copy = LocalCopy(TrialFiles(tmp_path / "t0"))
    copy.create(form("t0", "x"))
    assert (copy.place, copy.run) == (None, 1)
    copy.place = "alice@one"
    copy.begin_run(2)
    assert (copy.place, copy.run) == (None, 2)
    copy.place = "bob@two"
    copy.forget_place(1)
    again = LocalCopy(TrialFiles(tmp_path / "t0"))
    assert again.places == ["", "bob@two"]
    again.forget_place(2)
    assert list((tmp_path / "t0" / ".nni").iterdir()) == []
