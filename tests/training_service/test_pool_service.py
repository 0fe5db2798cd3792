"""The pool keeps the contract of a training service, with runners that are processes of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nni.testing.training_service import TrainingServiceConformance
from nni.training_service import TrainingService
from nni.training_service.pool import PoolSettings, PoolTrainingService, ProcessSite

EXPERIMENT = "ABCDEFGH"


class PoolConformance(TrainingServiceConformance):
    is_reused = True

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        self.home = directory.parent / "home"
        self.home.mkdir(exist_ok=True)
        settings = PoolSettings(EXPERIMENT, directory, command, code_directory, "test", grace=1.0)
        return PoolTrainingService(settings, [ProcessSite("far", self.home, EXPERIMENT, is_reused=self.is_reused)])

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        label = "far" if self.is_reused else f"far-{trial_id}"
        return self.home / ".nni-remote" / EXPERIMENT / label / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


@pytest.mark.slow
class TestPoolWithReuse(PoolConformance):
    pass


@pytest.mark.slow
class TestPoolWithoutReuse(PoolConformance):
    is_reused = False
