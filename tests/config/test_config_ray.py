"""``platform: ray`` in a configuration."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from nni.config import ConfigError, ExperimentConfig, RayConfig, json_schema
from nni.experiment import Experiment


def config(*sections: dict[str, Any]) -> dict[str, Any]:
    return {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": 1,
        "tuner": {"name": "Random"},
        "trainingService": sections[0] if len(sections) == 1 else list(sections),
    }


FULL = {
    "platform": "ray",
    "address": "ray://head.example.org:10001",
    "cpus": 0.5,
    "gpus": 2,
    "memory": "2gb",
    "resources": {"fast_disk": 1},
    "runtimeEnv": {"pip": ["scikit-learn"], "env_vars": {"some_Name": "x"}},
    "waitForNodes": True,
    "maxRunners": 8,
    "idleMinutes": 1,
    "reuseMode": False,
    "lostAfter": "10m",
    "rerunLostTrials": 2,
}


def test_all_keys_come_back_as_they_were_written_and_the_schema_knows_them():
    loaded = ExperimentConfig.from_dict(config(FULL))
    assert isinstance(loaded.training_service, RayConfig)
    assert loaded.canonical()["trainingService"] == FULL
    jsonschema.validate(config(FULL), json_schema())


def test_the_platform_alone_is_enough():
    experiment = Experiment("ray")
    assert isinstance(experiment.config.training_service, RayConfig)
    assert experiment.config.training_service.cpus == 1
    assert experiment.config.training_service.address is None


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("cpus", 1.5, "expected a whole number, or a part of one such as 0.5, got 1.5"),
        ("gpus", -1, "expected a whole number, or a part of one"),
        ("resources", {"disk": True}, "expected a whole number, or a part of one"),
        ("resources", {"CPU": 1}, "has a key of its own: cpus"),
        ("address", "http://head:8265", "expected host:port, ray://host:port or 'auto'"),
        ("address", "head", "expected host:port, ray://host:port or 'auto'"),
        ("memory", "lots", "expected a number directly followed by tb, gb, mb or kb"),
    ],
)
def test_what_ray_would_not_take_is_told_with_its_key(key: str, value: Any, complaint: str):
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_dict(config({**FULL, key: value})).validate()
    assert complaint in str(caught.value)
    assert f"trainingService.{key}" in str(caught.value)


def test_several_clusters_and_other_places_go_together():
    other = {"platform": "ray", "address": "10.0.0.1:6379"}
    ExperimentConfig.from_dict(config(FULL, other, {"platform": "ray"}, {"platform": "local"})).validate()


@pytest.mark.parametrize(
    ("second", "complaint"), [(FULL, "the same 'ray' is in the list already"), ({"platform": "ray"}, "")]
)
def test_two_services_that_would_be_one_are_refused(second: dict[str, Any], complaint: str):
    first = {**second} if complaint else {"platform": "ray", "cpus": 2}
    with pytest.raises(ConfigError, match=complaint or "address: required: a Ray of its own is started for an earlier"):
        ExperimentConfig.from_dict(config(first, second)).validate()
