"""Several services as one keep the contract, and share the trials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nni.common.errors import NniError
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.hybrid import HybridTrainingService
from nni.training_service.local import LocalSettings, LocalTrainingService
from nni.training_service.pool import PoolSettings, PoolTrainingService, ProcessSite

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
