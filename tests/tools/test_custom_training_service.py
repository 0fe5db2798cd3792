"""The example package of a training service: installed, checked by its own tests, and used by ``nnictl``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nnictl_lab import wait_until

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "custom_training_service"
PROGRAM = "from nni.tools.nnictl.entry import main; main()"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into a directory of its own."""
    package = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("package") / "example")  # building leaves files behind
    target = tmp_path_factory.mktemp("site")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run([sys.executable, *pip, *options, str(package)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def python(site: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])}
    return subprocess.run(
        [sys.executable, *arguments], env=variables, cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


def nnictl(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python(site, "-c", PROGRAM, *map(str, arguments))


def listed(site: Path) -> Any:
    return json.loads(nnictl(site, "trial", "ls", "--json").stdout)


def test_it_keeps_the_contracts_as_its_own_tests_say(site: Path, isolated_home: Path):
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-c",
        "pyproject.toml",
        "--rootdir",
        ".",
        "-W",
        "error",
    ]
    done = python(site, "-m", "pytest", *options, "tests", cwd=EXAMPLE)
    assert done.returncode == 0, done.stdout
    assert "17 passed" in done.stdout


def test_trials_run_behind_the_command(site: Path, isolated_home: Path, tmp_path: Path, free_port: int):
    demo = shutil.copytree(EXAMPLE / "demo", tmp_path / "demo")
    config, trial = demo / "config.yml", demo / "trial.py"
    text = config.read_text().replace("maxTrialNumber: 10", "maxTrialNumber: 4").replace('"19"', '"3"')
    config.write_text(text)
    trial.write_text(f"{trial.read_text()}\nimport os\nprint('niceness', os.nice(0))\n")
    created = nnictl(site, "create", "-c", config, "-p", str(free_port))
    assert created.returncode == 0, created.stderr
    wait_until(lambda: [one["status"] for one in listed(site)] == ["SUCCEEDED"] * 4, "four trials that succeeded")
    directory = isolated_home / "nni-experiments"
    logs = [path.read_text() for path in directory.glob("*/trials/*/trial.log")]
    assert logs == [f"niceness {min(19, os.nice(0) + 3)}\n"] * 4
    assert nnictl(site, "stop").returncode == 0
    assert not (isolated_home / ".nni-remote").exists()


def test_mistakes_are_told_with_file_and_line(site: Path, isolated_home: Path, tmp_path: Path):
    demo = shutil.copytree(EXAMPLE / "demo", tmp_path / "demo")
    config = demo / "config.yml"
    config.write_text(config.read_text().replace("command: [nice", "comand: [nice"))
    refused = nnictl(site, "create", "-c", config)
    assert refused.returncode == 1
    assert f"{config}:14: trainingService.places[0].comand: unknown key, did you mean 'command'?" in refused.stderr


def test_without_the_package_the_platform_is_unknown(isolated_home: Path, tmp_path: Path):
    refused = nnictl(tmp_path, "create", "-c", EXAMPLE / "demo" / "config.yml")
    assert refused.returncode == 1
    assert "trainingService.platform: unknown platform 'wrapped', expected one of 'local', " in refused.stderr


def test_editors_learn_its_keys(site: Path, isolated_home: Path):
    schema = json.loads(nnictl(site, "config", "schema").stdout)
    assert set(schema["$defs"]["PlaceConfig"]["properties"]) == {"name", "command", "python", "trialsAtOnce"}
