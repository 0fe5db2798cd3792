"""The training service of an experiment whose trial command is a Python function."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.store import Profile
from nni.training_service.function import FunctionSettings, FunctionTrainingService
from nni.trial.function_files import FUNCTION, read_about


def function_service(profile: Profile, directory: Path) -> FunctionTrainingService:
    """Return the service that runs the function in an experiment's directory.

    Raises
    ------
    NniError
        The function cannot be run here, and why.
    """
    config = profile.config
    workers = min(config["trialConcurrency"], config.get("maxTrialNumber") or config["trialConcurrency"])
    return FunctionTrainingService(
        FunctionSettings(
            profile.id,
            directory,
            Path(config["trialCodeDirectory"]),
            workers,
            _interpreter(config["trialCommand"], directory / "function"),
            config.get("trialGpuNumber"),
        )
    )


def _interpreter(command: str, directory: Path) -> str:
    """Return the Python that stored the function: what it imports is installed there."""
    try:
        about: dict[str, Any] = read_about(directory)
        (directory / FUNCTION).stat()
    except (OSError, ValueError) as error:
        raise NniError(
            f"trialCommand: {command} is a Python function, and it is not in {directory} ({error}); "
            "start a new experiment with nni.tune"
        ) from None
    if os.access(about["interpreter"], os.X_OK):
        return str(about["interpreter"])
    ours, needed = platform.python_version(), about["python"]
    if ours.split(".")[:2] != needed.split(".")[:2]:
        raise NniError(
            f"trialCommand: {command} was stored by Python {needed} ({about['interpreter']}), which is gone; "
            f"Python {ours} cannot load it"
        )
    return sys.executable
