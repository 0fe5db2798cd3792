"""The import directions hold, and the check that says so does catch what it forbids."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import grimp
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Rooms of which torch is the material; everywhere else it is imported when it is needed, or not at all.
MAY_IMPORT_TORCH = (
    "torchgraph",
    "compression",
    "algorithms/compression",
    "algorithms/feature_engineering/_gradient",
    "retiarii",
    "nas",
)
TORCH_BASED_MODULES = {
    "algorithms/hpo/networkmorphism_tuner/torch_model.py",
    "algorithms/hpo/_ppo/learner.py",
    "algorithms/hpo/_ppo/policy.py",
}


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / ".ci" / "check_imports.py"
    return subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def house(tmp_path):
    """A house with every room of the plan, all of them empty."""
    shutil.copy(REPOSITORY / ".importlinter", tmp_path)
    (tmp_path / "nni" / "manager").mkdir(parents=True)
    (tmp_path / "nni" / "manager" / "state.py").touch()
    contracts = ConfigParser()
    contracts.read(REPOSITORY / ".importlinter")
    rooms = re.findall(r"\w+", contracts["importlinter:contract:floors"]["layers"])
    for room in ("", *rooms):
        (tmp_path / "nni" / room).mkdir(exist_ok=True)
        (tmp_path / "nni" / room / "__init__.py").touch()
    return tmp_path


def test_this_checkout_keeps_every_contract():
    result = check_imports(REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_house_without_forbidden_imports_passes(house):
    result = check_imports(house)
    assert (result.returncode, "0 broken" in result.stdout) == (0, True), result.stdout + result.stderr
    assert "Not built yet" not in result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("common/planted.py", "import nni.store", "lower floors"),
        ("store/planted.py", "def later():\n    from nni.manager import state", "lower floors"),
        ("training_service/planted.py", "import nni.dispatcher", "lower floors"),
        ("manager/planted.py", "import nni.algorithms", "without the algorithms"),
        ("server/planted.py", "import torch", "without the algorithms"),
        ("algorithms/planted.py", "import nni.store", "search algorithms know"),
        ("compression/planted.py", "import nni.retiarii", "do not know each other"),
        ("webui/planted.py", "import sqlite3", "never the database"),
        ("manager/state.py", "import socket", "no socket, file, process or clock"),
        ("manager/state.py", "from time import monotonic", "no socket, file, process or clock"),
        ("trial/planted.py", "import numpy", "trial side"),
    ],
)
def test_a_planted_import_is_caught(house, module, statement, contract):
    (house / "nni" / module).write_text(statement + "\n")
    result = check_imports(house)
    assert result.returncode == 1
    assert any(contract in line and "BROKEN" in line for line in result.stdout.splitlines()), result.stdout


def test_a_room_that_is_not_built_yet_is_named_and_the_rest_still_checked(house):
    shutil.rmtree(house / "nni" / "webui")
    (house / "nni" / "common" / "planted.py").write_text("import nni.store\n")
    result = check_imports(house)
    assert "Not built yet, so not checked: nni.webui" in result.stdout
    assert result.returncode == 1


def test_a_room_that_stands_in_no_floor_fails(house):
    (house / "nni" / "attic").mkdir()
    (house / "nni" / "attic" / "__init__.py").touch()
    assert check_imports(house).returncode == 1


def test_a_misspelt_room_in_a_contract_fails(house):
    contracts = house / ".importlinter"
    contracts.write_text(contracts.read_text().replace("nni.webui\n", "nni.wedui\n"))
    result = check_imports(house)
    assert (result.returncode, "nni.wedui" in result.stderr) == (2, True)


def test_no_room_reaches_into_the_private_modules_of_another():
    graph = grimp.build_graph("nni", cache_dir=None)
    reached = [
        f"{importer} imports {module}"
        for module in graph.modules
        if any(part.startswith("_") and not part.startswith("__") for part in module.split("."))
        for importer in graph.find_modules_that_directly_import(module)
        if importer.split(".")[:2] != module.split(".")[:2]
    ]
    # Documented with its underscore: nni.experiment.config.common._AlgorithmConfig.
    assert set(reached) <= {"nni.experiment.config.common imports nni.config._algorithm"}


def test_the_trial_side_imports_the_standard_library_only():
    graph = grimp.build_graph("nni", include_external_packages=True, cache_dir=None)
    modules = {"nni.trial"} | graph.find_descendants("nni.trial")
    imported = set().union(*(graph.find_modules_directly_imported_by(module) for module in modules))
    outside = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) - {"nni"}
    assert outside == set()


def test_torch_is_not_imported_at_module_level_where_it_is_not_the_material():
    package = REPOSITORY / "nni"
    offenders = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if not path.relative_to(package).as_posix().startswith(MAY_IMPORT_TORCH)
        and path.relative_to(package).as_posix() not in TORCH_BASED_MODULES
        and "torch" in module_level_imports(path)
    ]
    assert offenders == []


def module_level_imports(path: Path) -> set[str]:
    """Top-level packages imported when the module is, ``if TYPE_CHECKING`` blocks aside."""
    names: set[str] = set()
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            names.update(alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            names.add((statement.module or "").split(".")[0])
    return names
