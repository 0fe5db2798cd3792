"""Platforms of other packages, by their entry points; and what is said of packages that are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from nni.config import ConfigError, ExperimentConfig, PlatformNotAvailableError, check_available, json_schema
from nni.config._plugins import GROUP, plugin_class

GOOD = """
from typing import Literal
from nni.training_service.custom import Count, CustomServiceConfig, optional, required, secret

class FarmConfig(CustomServiceConfig):
    platform: Literal["farm"] = optional("On the farm.", "farm")
    number_of_cows: Count = required("How many.", 3)
    pass_word: str | None = secret("Of the farmer.")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a package where Python finds it, as pip does: its module, and its metadata."""
    monkeypatch.syspath_prepend(tmp_path)
    plugin_class.cache_clear()

    def install(package: str, entry: str, code: str | None = None) -> None:
        module = entry.partition("=")[2].partition(":")[0].strip()
        if code is not None:
            (tmp_path / f"{module}.py").write_text(code)
            monkeypatch.delitem(__import__("sys").modules, module, raising=False)
        info = tmp_path / f"{package.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry}\n")

    yield install
    plugin_class.cache_clear()


def config_of(service: dict[str, object]) -> ExperimentConfig:
    return ExperimentConfig.from_dict({"trialCommand": "true", "trialConcurrency": 1, "trainingService": service})


def test_a_platform_of_a_package_is_validated_by_its_own_class(install: Callable[..., None]):
    install("nni-farm", "farm = farm_of_tests:FarmConfig", GOOD)
    config = config_of({"platform": "farm", "numberOfCows": 5, "passWord": "moo"})
    assert config.training_service.number_of_cows == 5
    assert config.redacted()["trainingService"] == {"platform": "farm", "numberOfCows": 5, "passWord": "******"}
    check_available(config)
    with pytest.raises(ConfigError) as caught:
        config_of({"platform": "farm", "numberOfCow": 5})
    assert [str(fault) for fault in caught.value.faults] == [
        "trainingService.numberOfCow: unknown key, did you mean 'numberOfCows'?"
    ]


def test_it_is_named_like_the_others_in_python(install: Callable[..., None]):
    install("nni-farm", "farm = farm_of_tests:FarmConfig", GOOD)
    config = ExperimentConfig("farm")
    config.training_service.number_of_cows = 2
    assert config.training_service.platform == "farm"


def test_an_unknown_platform_lists_what_is_installed(install: Callable[..., None]):
    install("nni-farm", "farm = farm_of_tests:FarmConfig", GOOD)
    with pytest.raises(ConfigError, match="unknown platform 'farn', did you mean 'farm'"):
        config_of({"platform": "farn"})
    with pytest.raises(ConfigError, match=r"unknown platform 'xyzxyz', expected one of 'local', .*'ray', 'farm'"):
        config_of({"platform": "xyzxyz"})


def test_the_json_schema_has_it(install: Callable[..., None]):
    install("nni-farm", "farm = farm_of_tests:FarmConfig", GOOD)
    schema = json_schema()
    config = {"trialCommand": "true", "trialConcurrency": 1, "trainingService": {"platform": "farm", "numberOfCows": 1}}
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "trainingService": {"platform": "farm", "numberOfCows": "x"}}, schema)


@pytest.mark.parametrize(
    ("entry", "code", "expected"),
    [
        ("farm = farm_gone:FarmConfig", None, "cannot be loaded: ModuleNotFoundError: No module named 'farm_gone'"),
        ("farm = farm_dies:FarmConfig", "raise OSError('no\\n cows')", "cannot be loaded: OSError: no cows"),
        ("farm = farm_lacks:FarmConfig", "", "cannot be loaded: AttributeError: module 'farm_lacks' has no attribute"),
        ("farm = farm_else:FarmConfig", "FarmConfig = 3", "cannot be used: farm_else:FarmConfig is no subclass of"),
        (
            "barn = farm_barn:FarmConfig",
            GOOD,
            "cannot be used: farm_barn:FarmConfig has the platform 'farm', not the name of its entry point",
        ),
        (
            "farm = farm_base:FarmConfig",
            GOOD.replace("(CustomServiceConfig)", "(TrainingServiceConfig)"),
            "cannot be used: farm_base:FarmConfig has no method make_service",
        ),
    ],
)
def test_a_broken_package_is_named_in_one_sentence(
    install: Callable[..., None], entry: str, code: str | None, expected: str, caplog: pytest.LogCaptureFixture
):
    if code and "TrainingServiceConfig" in code:
        code = f"from nni.config import TrainingServiceConfig\n{code}"
    install("nni-farm", entry, code)
    platform = entry.partition(" ")[0]
    with pytest.raises(ConfigError) as caught:
        config_of({"platform": platform, "numberOfCows": 1})
    (fault,) = caught.value.faults
    assert str(fault).startswith(f"trainingService.platform: '{platform}' of the package nni-farm 1.5 {expected[:6]}")
    assert expected in str(fault)
    assert "\n" not in str(fault)
    # Others do not suffer from it.
    assert config_of({"platform": "local"}).training_service.platform == "local"
    jsonschema.validate(
        {"trialCommand": "true", "trialConcurrency": 1, "trainingService": {"platform": "local"}}, json_schema()
    )
    assert "nni-farm 1.5" in caplog.text


def test_two_packages_with_the_same_platform_are_both_named(install: Callable[..., None]):
    install("nni-farm", "farm = farm_of_tests:FarmConfig", GOOD)
    install("other-farm", "farm = farm_of_tests:FarmConfig")
    with pytest.raises(ConfigError, match=r"'farm' is brought by the package .* and the package .*; uninstall one"):
        config_of({"platform": "farm"})


def test_a_package_cannot_take_the_name_of_a_platform_of_nni(install: Callable[..., None]):
    install("nni-farm", "local = farm_of_tests:FarmConfig", GOOD)
    assert type(config_of({"platform": "local"}).training_service).__module__ == "nni.config._local"


def test_a_platform_that_is_not_available_still_is_not(install: Callable[..., None]):
    with pytest.raises(PlatformNotAvailableError):
        check_available(ExperimentConfig("dlts"))
