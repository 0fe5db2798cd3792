"""Several services as one keep the contract, and share the trials."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nni.common.errors import NniError
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService, TrialForm, TrialJobDetail
from nni.training_service.hybrid import HybridTrainingService
from nni.training_service.local import LocalSettings, LocalTrainingService
from nni.training_service.pool import (
    Channel,
    Environment,
    PoolSettings,
    PoolTrainingService,
    ProcessSite,
    UnreachableError,
)

EXPERIMENT = "ABCDEFGH"


def make_local(directory: Path, command: str, code: Path) -> LocalTrainingService:
    return LocalTrainingService(LocalSettings(EXPERIMENT, directory, command, code, grace=1.0))


def make_pool(directory: Path, command: str, code: Path, python: str = "") -> PoolTrainingService:
    home = directory.parent / "home"
    home.mkdir(exist_ok=True)
    settings = PoolSettings(EXPERIMENT, directory, command, code, "test", grace=1.0)
    options = {"python": python} if python else {}
    return PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT, **options)])


@pytest.mark.slow
class TestHybridService(TrainingServiceConformance):
    """With local first, which gets the first trial; that both get some is another test's matter."""

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        self.local = make_local(directory, command, code_directory)
        self.pool = make_pool(directory, command, code_directory)
        return HybridTrainingService(directory, {"0-local": self.local, "1-test": self.pool})

    async def forget(self, service: TrainingService) -> None:
        self.local.close()
        await self.pool.close()

    def output_directory(self, trial_id: str) -> Path:
        far = self.directory.parent / "home" / ".nni-remote" / EXPERIMENT / "far" / "trials" / trial_id / "nnioutput"
        return far if far.exists() else self.trial_directory(trial_id)

    def let_go(self, trial_id: str) -> None:
        super().let_go(trial_id)


@pytest.mark.slow
async def test_trials_are_shared_and_it_is_told_where_each_ran(tmp_path: Path):
    (tmp_path / "code").mkdir()
    directory = tmp_path / "experiment"
    (directory / "trials").mkdir(parents=True)
    command = 'echo "$NNI_PLATFORM"'
    services: dict[str, TrainingService] = {
        "0-local": make_local(directory, command, tmp_path / "code"),
        "1-test": make_pool(directory, command, tmp_path / "code"),
    }
    hybrid = HybridTrainingService(directory, services)
    await hybrid.prepare()
    seen = Observer(hybrid)
    names = [f"t{number}" for number in range(4)]
    for number, name in enumerate(names):
        await hybrid.submit_trial_job(form(name, "x", number))
    await seen.until(lambda: all(map(seen.ended, names)), "the trials")
    logs = [(directory / "trials" / name / "trial.log").read_text().strip() for name in names]
    assert sorted(logs) == ["local", "local", "test", "test"]
    told = [seen.details[name].message for name in names]
    assert told == ["on local" if log == "local" else "on far" for log in logs]
    await seen.close()


class SmallSite(ProcessSite):
    """A machine with room for one trial, which a test can cut off."""

    capacity = 1
    is_cut = False

    def environment(self, label: str) -> Environment:
        inner = super().environment(label)
        connect = inner.connect

        async def connect_unless_cut() -> Channel:
            if self.is_cut:
                raise UnreachableError(f"{self.name}: cannot be reached (the test cut it off)")
            return await connect()

        inner.connect = connect_unless_cut  # type: ignore[method-assign]
        return inner


class Pair:
    """Two services with room for one trial each."""

    command = 'until test -e "$HOME/go-$NNI_TRIAL_JOB_ID"; do sleep 0.05; done; echo "$HOME"'

    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "code").mkdir()
        self.directory = tmp_path / "experiment"
        (self.directory / "trials").mkdir(parents=True)
        self.homes = {name: tmp_path / name for name in ("one", "two")}
        for home in self.homes.values():
            home.mkdir()
        self.sites = {name: SmallSite(name, home, EXPERIMENT) for name, home in self.homes.items()}
        self.pools = {name: self._pool(tmp_path / "code", name) for name in self.homes}
        self.hybrid = HybridTrainingService(self.directory, {"0-one": self.pools["one"], "1-two": self.pools["two"]})

    def _pool(self, code: Path, name: str) -> PoolTrainingService:
        settings = PoolSettings(
            EXPERIMENT, self.directory, self.command, code, "test", grace=1.0, lost_after=0.2, reruns=1
        )
        return PoolTrainingService(settings, [self.sites[name]])

    def cut(self, name: str) -> None:
        self.sites[name].is_cut = True
        for machine in self.pools[name]._machines.values():
            machine.base.reset()

    def let_go(self, trial_id: str) -> None:
        for home in self.homes.values():
            (home / f"go-{trial_id}").touch()

    def ran_on(self, trial_id: str) -> str:
        return Path((self.directory / "trials" / trial_id / "trial.log").read_text().strip()).name


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have trials that wait looked at without a pause."""
    for name in ("_PATIENCE", "_PAUSE"):
        monkeypatch.setattr(f"nni.training_service.hybrid.{name}", 0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_trial_that_waits_goes_where_there_is_room_first(tmp_path: Path):
    pair = Pair(tmp_path)
    await pair.hybrid.prepare()
    seen = Observer(pair.hybrid)
    for number in range(4):
        await pair.hybrid.submit_trial_job(form(f"t{number}", "x", number))
    await seen.until(lambda: sum(h[-1] is TrialStatus.RUNNING for h in seen.history.values()) == 2, "two trials")
    services = {name: detail.service for name, detail in seen.details.items() if detail.status is TrialStatus.RUNNING}
    assert sorted(services.values()) == ["one", "two"]
    (first,) = [name for name, service in services.items() if service == "one"]
    rest = {f"t{number}" for number in range(4)} - services.keys()
    pair.let_go(first)
    for _ in range(2):  # whichever service they waited in, both run where the one trial ended
        await seen.until(lambda: any(seen.history[name][-1] is TrialStatus.RUNNING for name in rest), "the next")
        (runs,) = [name for name in rest if seen.history[name][-1] is TrialStatus.RUNNING]
        assert seen.details[runs].service == "one"
        pair.let_go(runs)
        await seen.until(lambda runs=runs: seen.ended(runs), "its end")
        rest.discard(runs)
        assert pair.ran_on(runs) == "one"
    (last,) = services.keys() - {first}
    pair.let_go(last)
    await seen.until(lambda: seen.ended(last), "the end")
    assert {history.count(TrialStatus.RUNNING) for history in seen.history.values()} == {1}
    await seen.close()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_trial_that_is_lost_with_its_service_is_run_again_in_another(tmp_path: Path):
    pair = Pair(tmp_path)
    await pair.hybrid.prepare()
    seen = Observer(pair.hybrid)
    await pair.hybrid.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.history.get("t0", [])[-1:] == [TrialStatus.RUNNING], "the start")
    pair.cut("one")
    await seen.until(
        lambda: seen.history["t0"][-1] is TrialStatus.RUNNING and seen.details["t0"].service == "two", "the next start"
    )
    assert seen.details["t0"].run == 2
    await pair.hybrid.submit_trial_job(form("t1", "x", 1))
    pair.let_go("t0")
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert pair.ran_on("t0") == "two"
    pair.sites["one"].is_cut = False
    pair.let_go("t1")
    await seen.until(lambda: seen.ended("t1"), "the other's end")
    await seen.close()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_trial_that_waits_everywhere_can_be_cancelled(tmp_path: Path):
    pair = Pair(tmp_path)
    await pair.hybrid.prepare()
    seen = Observer(pair.hybrid)
    for number in range(3):
        await pair.hybrid.submit_trial_job(form(f"t{number}", "x", number))
    await seen.until(lambda: sum(h[-1] is TrialStatus.RUNNING for h in seen.history.values()) == 2, "two trials")
    (waits,) = [name for name, history in seen.history.items() if history[-1] is TrialStatus.WAITING]
    await pair.hybrid.cancel_trial_job(waits)
    await seen.until(lambda: seen.ended(waits), "the end")
    assert seen.history[waits][-1] is TrialStatus.USER_CANCELED
    await seen.close()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_canceled", [False, True])
async def test_a_trial_that_no_service_can_take_for_a_while_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_canceled: bool
):
    """As with a full disk here while a trial is on its way from one service to the other."""
    pair = Pair(tmp_path)
    pair.sites["one"].is_cut = True
    await asyncio.wait_for(pair.hybrid.prepare(), 60)
    seen = Observer(pair.hybrid)
    is_full = True
    for pool in pair.pools.values():
        submit = pool.submit_trial_job

        async def unless_full(form: TrialForm, submit: Any = submit) -> TrialJobDetail:
            if is_full and "t0" in seen.history:
                raise OSError(28, "No space left on device")
            detail: TrialJobDetail = await submit(form)
            return detail

        monkeypatch.setattr(pool, "submit_trial_job", unless_full)
    await pair.hybrid.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: pair.hybrid._in_transit == "t0", "its way")
    if is_canceled:
        await pair.hybrid.cancel_trial_job("t0")
        await seen.until(lambda: seen.ended("t0"), "the end")
        assert seen.history["t0"][-1] is TrialStatus.USER_CANCELED
    else:
        is_full = False
        pair.let_go("t0")
        await seen.until(lambda: seen.ended("t0"), "the end")
        assert pair.ran_on("t0") == "two"
    await seen.close()


@pytest.mark.slow
async def test_a_service_that_cannot_be_used_leaves_the_trials_to_the_others(tmp_path: Path):
    (tmp_path / "code").mkdir()
    directory = tmp_path / "experiment"
    (directory / "trials").mkdir(parents=True)
    local = make_local(directory, "true", tmp_path / "code")
    broken = make_pool(directory, "true", tmp_path / "code", python="/nonexistent/python3")
    hybrid = HybridTrainingService(directory, {"0-test": broken, "1-local": local})
    await hybrid.prepare()
    seen = Observer(hybrid)
    await asyncio.gather(*(hybrid.submit_trial_job(form(f"t{number}", "x", number)) for number in range(3)))
    await seen.until(lambda: all(seen.ended(f"t{number}") for number in range(3)), "the trials")
    assert {history[-1] for history in seen.history.values()} == {TrialStatus.SUCCEEDED}
    await seen.close()


async def test_without_a_service_that_can_be_used_it_says_why(tmp_path: Path):
    (tmp_path / "code").mkdir()
    broken = make_pool(tmp_path / "experiment", "true", tmp_path / "code", python="/nonexistent/python3")
    hybrid = HybridTrainingService(tmp_path / "experiment", {"0-test": broken})
    with pytest.raises(NniError, match="/nonexistent/python3 cannot be started"):
        await hybrid.prepare()
