"""What is installed is pure Python: one wheel for every system and processor, with nothing to compile (PLT-009)."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
COMPILED = {".so", ".pyd", ".dll", ".dylib", ".a", ".c", ".cpp", ".pyx", ".pxd", ".o"}
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.mark.requires_module("hatchling")
def test_the_wheel_is_for_every_platform_and_holds_the_package_and_nothing_compiled(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()[-1]
    assert built.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(tmp_path / built).namelist()
    assert "nni/__init__.py" in names
    assert "nni/py.typed" in names
    assert any(name.endswith("entry_points.txt") for name in names)
    assert [name for name in names if Path(name).suffix in COMPILED] == []
    assert [name for name in names if not name.startswith(("nni/", "nni-"))] == []
