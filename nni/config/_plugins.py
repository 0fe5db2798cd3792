"""Training services that other packages bring: found by their entry points, loaded when a configuration names one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from nni.config._errors import ConfigError, Fault

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from nni.config._training_service import TrainingServiceConfig

GROUP = "nni.training_services"
"""Entry points of this group name a platform, and the class of its section of the configuration (PLT-259, 317)."""


def plugin_names() -> list[str]:
    """Return the platforms that installed packages bring, without loading any of them."""
    return sorted({entry.name for entry in _entries()})


@cache
def plugin_class(platform: str) -> type[TrainingServiceConfig]:
    """
    Return the configuration class of a platform that a package brings.

    Raises
    ------
    KeyError
        No package brings it.
    ConfigError
        The package is broken, in one sentence that names it.
    """
    found = [entry for entry in _entries() if entry.name == platform]
    if not found:
        raise KeyError(platform)
    packages = " and ".join(_package(entry) for entry in found)
    if len(found) > 1:
        raise _broken(f"{platform!r} is brought by {packages}; uninstall one of them")
    try:
        cls = found[0].load()
    except Exception as error:  # a package of somebody else's may raise anything
        text = " ".join(str(error).split()) or "no message"
        raise _broken(f"{platform!r} of {packages} cannot be loaded: {type(error).__name__}: {text}") from error
    problem = _problem(cls, platform)
    if problem:
        raise _broken(f"{platform!r} of {packages} cannot be used: {found[0].value} {problem}")
    return cls  # type: ignore[no-any-return]  # checked just now


def _problem(cls: object, platform: str) -> str | None:
    """Return what is wrong with what an entry point names."""
    from nni.config._training_service import TrainingServiceConfig  # noqa: PLC0415  # it asks this module

    if not isinstance(cls, type) or not issubclass(cls, TrainingServiceConfig):
        return "is no subclass of nni.training_service.custom.CustomServiceConfig"
    if not callable(getattr(cls, "make_service", None)):
        return "has no method make_service"
    default = cls.model_fields["platform"].default
    return None if default == platform else f"has the platform {default!r}, not the name of its entry point"


def _entries() -> list[EntryPoint]:
    """Return the entry points; a package that stands on the path twice counts once."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # slow to import

    return list({(entry.name, entry.value, _package(entry)): entry for entry in entry_points(group=GROUP)}.values())


def _package(entry: EntryPoint) -> str:
    dist = entry.dist
    return "an unknown package" if dist is None else f"the package {dist.name} {dist.version}"


def _broken(message: str) -> ConfigError:
    return ConfigError(Fault(("platform",), message))
