"""What a platform of somebody else's package says when its service cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from nni.common.errors import NniError
from nni.training_service import TrainingService
from nni.training_service.custom import CustomServiceConfig, optional
from nni.training_service.pool import PoolSettings

SETTINGS = PoolSettings("ABCDEFGH", Path("/experiment"), "true", Path("/code"), "farm")


class FarmConfig(CustomServiceConfig):
    platform: Literal["farm"] = optional("On the farm.", "farm")

    def make_service(self, settings: PoolSettings) -> TrainingService:
        raise ValueError("the cows\nare gone")


class NoServiceConfig(FarmConfig):
    def make_service(self, settings: PoolSettings) -> Any:
        return "a service"


class ToldConfig(FarmConfig):
    def make_service(self, settings: PoolSettings) -> TrainingService:
        raise NniError("trainingService.barn: is locked")


class UnfinishedConfig(CustomServiceConfig):
    platform: Literal["farm"] = optional("On the farm.", "farm")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            FarmConfig(),
            r"farm \(.*FarmConfig\) cannot make its service: ValueError: the cows are gone",
        ),
        (
            NoServiceConfig(),
            r"farm \(.*\) made a str, which is no nni.training_service.TrainingService",
        ),
        (ToldConfig(), "trainingService.barn: is locked"),
        (UnfinishedConfig(), "UnfinishedConfig does not say how its service is made"),
    ],
)
def test_it_is_a_sentence_for_the_user(config: CustomServiceConfig, expected: str):
    with pytest.raises(NniError, match=expected) as caught:
        config.checked_service(SETTINGS)
    assert "\n" not in str(caught.value)
