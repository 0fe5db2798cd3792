"""What a user of the package, and of a fresh checkout, relies on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import nni

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The names of NNI 2.x's documentation that `import nni` gives, and the version.
DOCUMENTED_NAMES = {
    "ClassArgsValidator",
    "NoMoreTrialError",
    "__version__",
    "get_current_parameter",
    "get_experiment_id",
    "get_next_parameter",
    "get_sequence_id",
    "get_trial_id",
    "report_final_result",
    "report_intermediate_result",
}


def test_import_nni_needs_the_standard_library_only():
    code = "import sys, nni; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    before = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in set(result.stdout.split()) - set(before.stdout.split())}
    assert loaded - set(sys.stdlib_module_names) == {"nni"}


def test_a_trial_runs_without_any_third_party_package(tmp_path):
    """Standalone, with nothing but the checkout and the standard library on the path."""
    trial = "import nni; print(nni.get_next_parameter()); nni.report_final_result(0.5)"
    # -S leaves site-packages out; the checkout comes back by hand
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); {trial}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("{}")


def test_documented_names_are_public():
    assert set(nni.__all__) >= DOCUMENTED_NAMES
    for name in nni.__all__:
        assert getattr(nni, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'get_nxt_parameter'"):
        _ = nni.get_nxt_parameter


def test_the_version_is_a_version_and_written_once():
    assert Version(nni.__version__).major >= 4
    written = [
        path
        for path in (REPOSITORY / "nni").rglob("*.py")
        if re.search(rf"['\"]{re.escape(nni.__version__)}['\"]", path.read_text(encoding="utf-8"))
    ]
    assert written == [REPOSITORY / "nni" / "common" / "version.py"]


def test_every_extra_of_the_architecture_can_be_asked_for():
    expected = "nas compression features smac bohb remote kubernetes ray slurm aml dlc tensorboard all dev docs"
    assert set(expected.split()) <= set(PROJECT["optional-dependencies"])


def test_all_stands_for_every_extra_of_a_user():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(PROJECT["optional-dependencies"]) - {"all", "dev", "docs"}


def test_every_dependency_is_pinned_in_the_constraints():
    pinned = constraints()
    extras = ("dev", "docs", "nas", "compression", "features", "bohb", "remote", "tensorboard")
    wanted = [*PROJECT["dependencies"], *(name for extra in extras for name in PROJECT["optional-dependencies"][extra])]
    missing = [line for line in wanted if canonical(Requirement(line).name) not in pinned]
    assert missing == []


def test_torch_is_held_at_one_version():
    assert constraints()["torch"] == {"==2.13.0"}


def constraints() -> dict[str, set[str]]:
    pinned: dict[str, set[str]] = {}
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            pinned.setdefault(canonical(requirement.name), set()).add(str(requirement.specifier))
    return pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    environment.pop("PYTHON", None)
    environment.pop("MAKEFLAGS", None)  # these tests may themselves run below `make test`
    return subprocess.run(arguments, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.requires_program("make")
def test_make_without_a_target_lists_the_targets():
    result = make("make")
    for target in "quickstart test test-fast lint types imports check bench docs clean".split():  # noqa: SIM905  (read as typed)
        assert f"make {target} " in result.stdout


def stand_in(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_python_that_is_found_is_recent_enough():
    result = make(".ci/find-python")
    code = "import sys, ensurepip; assert sys.version_info >= (3, 10)"
    assert subprocess.run([result.stdout.strip(), "-c", code], check=False).returncode == 0


def test_a_shim_whose_python_is_not_installed_is_passed_over(tmp_path):
    stand_in(tmp_path, "python3.13", "echo 'version 3.13 is not installed' >&2; exit 127")
    stand_in(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    result = make(".ci/find-python", path=f"{tmp_path}:/usr/bin:/bin")
    assert result.stdout.strip() == str(tmp_path / "python3.12")


def test_no_recent_python_is_one_clear_sentence(tmp_path):
    stand_in(tmp_path, "python3", 'case "$2" in *print*) echo 3.8 ;; *) exit 1 ;; esac')
    result = subprocess.run(
        ["/bin/sh", ".ci/find-python"],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "NNI needs Python 3.10 or newer; none is on PATH (found: python3 (3.8))" in result.stderr


def test_a_python_without_venv_names_the_package_to_install(tmp_path):
    stand_in(
        tmp_path,
        "python3.11",
        'case "$2" in *print*) echo 3.11 ;; *ensurepip*) exit 1 ;; *) exit 0 ;; esac',
    )
    result = subprocess.run(
        ["/bin/sh", ".ci/find-python"],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, "apt install python3.11-venv" in result.stderr) == (1, True)
