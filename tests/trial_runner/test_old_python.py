"""The trial runner works with the oldest Python that it is promised for, where there is one on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from nni.testing.environment import EnvironmentConformance
from nni.training_service.pool import Environment, ProcessSite


def _find(version: str) -> str | None:
    """Return an interpreter: on PATH, or one of pyenv's (its shims on PATH need not lead anywhere)."""
    found = [shutil.which(f"python{version}"), *_of_pyenv(version)]
    for python in filter(None, found):
        answer = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.startswith(f"Python {version}."):
            return python
    return None


def _of_pyenv(version: str) -> list[str]:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return [str(path) for path in (home / ".pyenv" / "versions").glob(f"{version}.*/bin/python")]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8"])
class TestOldPython(EnvironmentConformance):
    @pytest.fixture(autouse=True)
    def _python(self, version: str) -> None:
        python = _find(version)
        if python is None:
            pytest.skip(f"there is no Python {version} here")
        self.python = python

    def make(self, directory: Path) -> Environment:
        (directory / "home").mkdir(exist_ok=True)
        return ProcessSite("far", directory / "home", "CONFORM1", python=self.python).environment("")
