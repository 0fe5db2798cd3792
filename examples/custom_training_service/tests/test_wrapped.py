"""The contracts of NNI, kept: ``pip install . pytest && pytest tests``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nni_wrapped import WrappedConfig
from nni_wrapped.site import WrappedSite

from nni.config import ConfigError, ExperimentConfig
from nni.testing.environment import EnvironmentConformance
from nni.testing.training_service import TrainingServiceConformance
from nni.training_service import TrainingService
from nni.training_service.pool import Environment, PoolSettings, PoolTrainingService


def other_home(home: Path) -> list[str]:
    """Return a command that leads elsewhere, though not far: another home, and hardly a variable."""
    home.mkdir(exist_ok=True)
    return ["/usr/bin/env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin"]


class TestEnvironment(EnvironmentConformance):
    def make(self, directory: Path) -> Environment:
        return WrappedSite("box", other_home(directory / "home"), "CONFORM1", sys.executable).environment("")


class TestService(TrainingServiceConformance):
    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        self.home = directory.parent / "home"
        config = WrappedConfig(
            places=[{"name": "box", "command": other_home(self.home), "python": sys.executable, "trials_at_once": 3}]
        )
        return config.make_service(PoolSettings("ABCDEFGH", directory, command, code_directory, "wrapped", grace=1.0))

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        return self.home / ".nni-remote" / "ABCDEFGH" / "box" / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


def test_mistakes_in_the_section_are_told_with_their_keys():
    places = [{"name": "a", "command": ["env"]}, {"name": "a", "command": ["no-such-program"]}]
    whole = {"trialCommand": "true", "trialConcurrency": 1}
    config = ExperimentConfig.from_dict({**whole, "trainingService": {"platform": "wrapped", "places": places[:1]}})
    assert isinstance(config.training_service, WrappedConfig)
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_dict({**whole, "trainingService": {"platform": "wrapped", "places": places}})
    assert [str(fault) for fault in caught.value.faults] == [
        "trainingService.places[1].name: 'a' is in the list already",
        "trainingService.places[1].command: there is no program 'no-such-program' on PATH",
    ]
