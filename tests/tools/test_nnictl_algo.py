"""The example package of a tuner, installed, registered, used in an experiment, and unregistered (PLT-427)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from nnictl_lab import wait_until

from nni.tools.nnictl._app import run

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "tuners" / "customized_tuner"

CONFIG = """
searchSpace:
  x: {_type: uniform, _value: [-2, 2]}
  y: {_type: uniform, _value: [-2, 2]}
  shape: {_type: choice, _value: [flat, round]}
trialCommand: python3 trial.py
trialConcurrency: 2
maxTrialNumber: 4
tuner:
  name: demotuner
  classArgs: {optimize_mode: maximize, step: STEP}
trainingService: {platform: local}
"""


class Environment:
    """A virtual environment with its own packages, and for the rest those of the tests."""

    def __init__(self, folder: Path) -> None:
        venv.EnvBuilder(symlinks=True).create(folder)
        self.bin = folder / "bin"
        purelib = sysconfig.get_path("purelib", vars={"base": str(folder)})
        others = [REPOSITORY, *(path for path in sys.path if path.endswith("site-packages"))]
        Path(purelib, "zz_tests.pth").write_text("\n".join(map(str, others)))
        self.variables = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def python(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self.bin / "python", *arguments]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False, timeout=300)

    def nnictl(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.python("-c", "from nni.tools.nnictl.entry import main; main()", *arguments)


@pytest.mark.slow
def test_the_example_of_a_tuner_is_installed_registered_used_and_unregistered(isolated_home, tmp_path, free_port):
    environment = Environment(tmp_path / "environment")
    package = shutil.copytree(EXAMPLE, tmp_path / "package")  # building leaves files behind
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    installed = environment.python(*pip, "--no-deps", "--no-build-isolation", package)
    assert installed.returncode == 0, installed.stderr

    before = environment.nnictl("algo", "show", "demotuner")
    assert before.returncode == 1
    assert "no algorithm named 'demotuner'" in before.stderr

    registered = environment.nnictl("algo", "register", "--meta", EXAMPLE / "meta_file.yml")
    assert registered.returncode == 0, registered.stderr
    (line,) = [entry for entry in _listed(environment) if entry["source"] == "User"]
    expected = {"name": "demotuner", "type": "tuners", "className": "DemoTuner", "moduleName": "demo_tuner"}
    assert line == {**expected, "source": "User"}
    assert "step=0.1" in environment.nnictl("algo", "show", "demotuner").stdout

    code = tmp_path / "code"
    code.mkdir()
    shutil.copy(EXAMPLE / "trial.py", code)
    (code / "wrong.yml").write_text(CONFIG.replace("STEP", "7"))
    refused = environment.nnictl("create", "-c", code / "wrong.yml", "-p", str(free_port))
    assert refused.returncode == 1
    assert "step: expected a number between 0.001 and 1, got 7" in refused.stderr

    (code / "right.yml").write_text(CONFIG.replace("STEP", "0.2"))
    created = environment.nnictl("create", "-c", code / "right.yml", "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    wait_until(lambda: _statuses(environment) == ["SUCCEEDED"] * 4, "four trials that succeeded")
    assert environment.nnictl("stop").returncode == 0

    assert environment.nnictl("algo", "unregister", "TPE").returncode == 1
    assert environment.nnictl("algo", "unregister", "demotuner").returncode == 0
    assert not [entry for entry in _listed(environment) if entry["source"] == "User"]


def _listed(environment: Environment) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(environment.nnictl("algo", "list", "--json").stdout)
    return found


def _statuses(environment: Environment) -> list[str]:
    return [trial["status"] for trial in json.loads(environment.nnictl("trial", "ls", "--json").stdout)]


def test_a_meta_file_that_is_not_there_is_named_once(tmp_path, capsys):
    path = tmp_path / "meta.yml"
    assert run(["algo", "register", "--meta", str(path)]) == 1
    assert capsys.readouterr().err == f"ERROR: {path}: no such file\n"
