"""Where trials run: the base of all services, and the choice by `platform`."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from nni.config._errors import ConfigError, Fault, nearest, shown
from nni.config._fields import required
from nni.config._model import ConfigModel
from nni.config._plugins import plugin_class, plugin_names
from nni.config._wording import worded

_CLASSES = {
    "local": "LocalConfig",
    "remote": "RemoteConfig",
    "openpai": "OpenpaiConfig",
    "aml": "AmlConfig",
    "dlc": "DlcConfig",
    "kubeflow": "KubeflowConfig",
    "frameworkcontroller": "FrameworkControllerConfig",
    "adl": "AdlConfig",
    "dlts": "DltsConfig",
    "slurm": "SlurmConfig",
    "ray": "RayConfig",
}
_ALIASES = {"pai": "openpai"}  # PLT-334

HYBRID_PLATFORMS = ("local", "remote", "openpai", "aml", "slurm", "ray")
"""What a list of services may hold (PLT-108), and ours."""

AVAILABLE_PLATFORMS = ("local", "remote", "slurm", "ray")
"""What this version can run on; the others are validated only."""


class TrainingServiceConfig(ConfigModel):
    """Base of the training services; which one it is stands in `platform`."""

    platform: str = required("Kind of the training service.", "local")


def platforms() -> tuple[str, ...]:
    """Return the names of all training services, of NNI and of installed packages."""
    return (*_CLASSES, *(name for name in plugin_names() if name not in _CLASSES))


def is_available(platform: str) -> bool:
    """Say whether trials can run on a platform: NNI's own, or one that a package brings."""
    return platform in AVAILABLE_PLATFORMS or platform not in _CLASSES


def service_class(platform: str) -> type[TrainingServiceConfig]:
    """
    Return the configuration class of a platform; only here is its module imported.

    Raises
    ------
    ConfigError
        For an unknown platform, or one of a package that is broken.
    """
    name = _ALIASES.get(platform, platform)
    if name not in _CLASSES:
        try:
            return plugin_class(name)
        except KeyError:
            fault = Fault(("platform",), f"unknown platform {platform!r}, {nearest(platform, platforms())}")
            raise ConfigError(fault) from None
    found: type[TrainingServiceConfig] = getattr(importlib.import_module(f"nni.config._{name}"), _CLASSES[name])
    return found


def services_for(platform: str | list[str] | tuple[str, ...]) -> TrainingServiceConfig | list[TrainingServiceConfig]:
    """Return fresh services for a platform name, or for each name of a list (hybrid)."""
    if isinstance(platform, str):
        return service_class(platform)()
    return [service_class(name)() for name in platform]


def _choose(value: Any, info: ValidationInfo) -> TrainingServiceConfig:
    if isinstance(value, TrainingServiceConfig):
        return value
    if not isinstance(value, dict):
        raise worded(f"expected a mapping with a platform, such as 'platform: local', got {shown(value)}")
    platform = value.get("platform")
    if not isinstance(platform, str):
        fault = f"expected one of {', '.join(map(repr, platforms()))}"
        raise _platform_error(f"required, {fault}" if platform is None else f"{fault}, got {shown(platform)}")
    try:
        cls = service_class(platform)
    except ConfigError as error:
        raise _platform_error(error.faults[0].message) from None
    return cls.model_validate({**value, "platform": _ALIASES.get(platform, platform)}, context=info.context)


def _choose_all(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, (list, tuple)):
        return _choose(value, info)
    return _several().validate_python(list(value), context=info.context)


@cache
def _several() -> TypeAdapter[list[TrainingServiceConfig]]:
    return TypeAdapter(list[Annotated[TrainingServiceConfig, BeforeValidator(_choose)]])


def _platform_error(message: str) -> ValidationError:
    detail = InitErrorDetails(type=worded(message), loc=("platform",), input=None)
    return ValidationError.from_exception_data("TrainingServiceConfig", [detail])


TrainingServiceField = Annotated[
    TrainingServiceConfig | list[TrainingServiceConfig],
    BeforeValidator(_choose_all),
]
"""One service, or a list of them (hybrid)."""
