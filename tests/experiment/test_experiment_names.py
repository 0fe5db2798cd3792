"""Names that documented programs import from ``nni.experiment``."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nni.experiment


@pytest.mark.parametrize("name", nni.experiment.__all__)
def test_every_name_can_be_imported(name):
    assert getattr(nni.experiment, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchName"):
        nni.experiment.NoSuchName  # noqa: B018 - the access is what is tested


def test_importing_the_package_imports_nothing_heavy():
    heavy = "{'httpx', 'pydantic', 'rich', 'filelock', 'psutil'}"
    program = f"import sys, nni.experiment; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_the_classes_are_those_of_the_config_room():
    import nni.config

    assert nni.experiment.ExperimentConfig is nni.config.ExperimentConfig
