"""Files that a person names on the command line, with errors that say where in them the fault is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError

if TYPE_CHECKING:
    from pathlib import Path

    from nni.config import ExperimentConfig, Fault


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raises :class:`NniError` with line and column."""
    try:
        return json.loads(path.expanduser().read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise NniError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise NniError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise NniError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise NniError(f"{path}: is nested too deeply") from None


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds; raises :class:`NniError` with the line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.expanduser().read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise NniError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise NniError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f":{mark.line + 1}"
        raise NniError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None


def load_config(path: Path) -> ExperimentConfig:
    """Load an experiment file; where it names a platform that is not available, that is said before anything else."""
    from nni.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        missing = _unavailable(path)
        if not missing:
            raise
        told = {fault.path: fault for fault in missing}
        raise ConfigError([*told.values(), *error.faults]) from None


def _unavailable(path: Path) -> list[Fault]:
    """Return the faults of platforms that are not available; none for a file that cannot even be read."""
    from nni.config import ConfigError, ExperimentConfig, PlatformNotAvailableError, check_available

    faults: list[Fault] = []
    for name in _platforms(path):
        try:
            check_available(ExperimentConfig(name))
        except PlatformNotAvailableError as missing:
            faults += missing.faults
        except ConfigError:
            continue  # no platform at all: the loader has said so
    return faults


def _platforms(path: Path) -> list[str]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(path.expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return []
    if not isinstance(data, dict):
        return []
    of_1x = {"platform": data.get("trainingServicePlatform")}
    services = data.get("trainingService") or data.get("training_service") or of_1x
    found = services if isinstance(services, list) else [services]
    names = [item.get("platform") if isinstance(item, dict) else item for item in found]
    return [name for name in names if isinstance(name, str)]
