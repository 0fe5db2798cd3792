from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nni.config import ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from nni.config import ExperimentConfig

MINIMAL = """\
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
trialCommand: python3 trial.py
trialConcurrency: 2
tuner: {name: TPE}
trainingService: {platform: local}
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the configuration file; the current directory is another one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = tmp_path / "project"
    here.mkdir()
    return here


@pytest.fixture
def loaded(directory: Path) -> Callable[..., ExperimentConfig]:
    """Load YAML text; keys of a second text are added to a minimal configuration, replacing its own."""

    def load_text(text: str, *, whole: bool = False) -> ExperimentConfig:
        text = textwrap.dedent(text)
        if not whole:
            given = {line.partition(":")[0] for line in text.splitlines()}
            kept = [line for line in MINIMAL.splitlines() if line.partition(":")[0] not in given]
            text = "\n".join([*kept, text])
        file = directory / "config.yml"
        file.write_text(text, encoding="utf-8")
        return load(file)

    return load_text


@pytest.fixture
def faults(loaded: Callable[..., ExperimentConfig]) -> Callable[..., list[str]]:
    """Load YAML text that is wrong, and return `key path: message` of each fault."""

    def load_wrong(text: str, *, whole: bool = False) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, whole=whole)
        return [str(fault).split(": ", 1)[1] for fault in caught.value.faults]

    return load_wrong
