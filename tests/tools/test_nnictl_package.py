"""``experiment delete``, ``save`` and ``load``: what goes in comes out, elsewhere, and nothing else is touched."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from nnictl_lab import wait_until

from nni.store.registry import ExperimentRegistry, RegistryEntry
from nni.tools.nnictl._app import run

pytestmark = pytest.mark.slow


@pytest.fixture
def package(finished, tmp_path) -> Path:
    """The finished experiment in a file, with its code; the experiment itself is deleted."""
    assert run(["experiment", "save", finished.id, "-p", str(tmp_path / "saved"), "--saveCodeDir"]) == 0
    assert run(["experiment", "delete", finished.id]) == 0
    return tmp_path / "saved" / f"nni_experiment_{finished.id}.zip"


def load(package: Path, code: Path, *more: str) -> int:
    return run(["experiment", "load", "--path", str(package), "--codeDir", str(code), *more])


# delete


def test_delete_removes_directory_and_list_entry(finished, capsys):
    assert run(["experiment", "delete", finished.id[:5]]) == 0
    assert finished.id in capsys.readouterr().out
    assert list(finished.directory.parent.glob("*[!.]*/")) == []
    assert ExperimentRegistry().entries() == []


def test_delete_all_removes_every_one(finished, add_stopped):
    other = add_stopped("bbbb2222")
    assert run(["experiment", "delete", "--all", "--yes"]) == 0
    assert not finished.directory.exists()
    assert not other.directory.exists()
    assert ExperimentRegistry().entries() == []


def test_delete_never_guesses(add_stopped):
    entry = add_stopped("aaaa1111")
    assert run(["experiment", "delete"]) == 2
    assert run(["experiment", "delete", "aaaa1111", "--all"]) == 2
    assert entry.directory.is_dir()


@pytest.mark.parametrize(("answer", "is_kept"), [("n", True), ("y", False)])
def test_in_a_terminal_it_asks_first(add_stopped, answer, is_kept):
    entry = add_stopped("aaaa1111")
    ours, theirs = pty.openpty()
    program = "from nni.tools.nnictl._app import run; import sys; sys.exit(run(['experiment', 'delete', 'aaaa1111']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert "Delete aaaa1111" in out
    assert process.returncode == int(is_kept)
    assert entry.directory.exists() == is_kept


def test_a_directory_that_is_not_the_experiments_own_is_left_alone(home, capsys):
    """An entry of NNI 2.x may name the directory of all experiments."""
    shared = home / "nni-experiments" / "all"
    shared.mkdir(parents=True)
    (shared / "precious").touch()
    ExperimentRegistry().add(RegistryEntry("aaaa1111", shared, status="STOPPED"))
    assert run(["experiment", "delete", "aaaa1111"]) == 0
    assert (shared / "precious").exists()
    assert "out of the list" in capsys.readouterr().err


def test_an_experiment_whose_directory_is_gone_is_taken_out_of_the_list(add_stopped):
    shutil.rmtree(add_stopped("aaaa1111").directory)
    assert run(["experiment", "delete", "aaaa1111"]) == 0
    assert ExperimentRegistry().entries() == []


# save


def test_the_file_is_private_and_holds_no_lock(package):
    assert stat.S_IMODE(package.stat().st_mode) == 0o600
    names = zipfile.ZipFile(package).namelist()
    assert "experiment/db/nni.sqlite" in names
    assert "code/trial.py" in names
    assert not [name for name in names if name.endswith((".lock", ".doorbell"))]


def test_without_the_option_there_is_no_code_in_it(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["experiment", "save", finished.id]) == 0
    names = zipfile.ZipFile(f"nni_experiment_{finished.id}.zip").namelist()
    assert not [name for name in names if name.startswith("code/")]


def test_a_file_that_is_there_is_not_overwritten(finished, tmp_path, capsys):
    (tmp_path / f"nni_experiment_{finished.id}.zip").write_text("precious")
    assert run(["experiment", "save", finished.id, "-p", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / f"nni_experiment_{finished.id}.zip").read_text() == "precious"


# load


def test_a_loaded_experiment_goes_on_in_another_place_with_its_own_code(
    package, finished, finished_once, tmp_path, free_port, capsys
):
    code, root = tmp_path / "new code", tmp_path / "new root"
    assert load(package, code, "--logDir", str(root)) == 0
    entry = ExperimentRegistry().get(finished.id)
    assert (entry.directory, entry.name, entry.start_time) == (root / finished.id, "Example", finished.start_time)
    assert len(json.loads((code / "search_space.json").read_text())) == 1
    original_code = finished_once[0] / "code"
    hidden = original_code.with_name("hidden")
    original_code.rename(hidden)
    try:
        assert run(["resume", finished.id, "-p", str(free_port)]) == 0
        run(["update", "trialnum", "-v", "6"])
        wait_until(lambda: ExperimentRegistry().get(finished.id).status == "DONE", "two more trials")
    finally:
        hidden.rename(original_code)
    capsys.readouterr()
    run(["trial", "ls", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows[4:]] == ["SUCCEEDED"] * 2
    assert all(row["directory"].startswith(str(root)) for row in rows)
    run(["experiment", "show", "--json"])
    params = json.loads(capsys.readouterr().out)["params"]
    assert (params["trialCodeDirectory"], params["tuner"]["codeDirectory"]) == (str(code), str(code))
    assert params["experimentWorkingDirectory"] == str(root)


def test_an_id_that_is_in_the_list_is_not_loaded_again(package, tmp_path, capsys):
    assert load(package, tmp_path / "code1") == 0
    assert load(package, tmp_path / "code2") == 1
    assert "is in the list already" in capsys.readouterr().err
    assert not (tmp_path / "code2").exists()


def test_files_in_the_code_directory_are_kept_and_nothing_is_left_behind(package, finished, tmp_path, capsys):
    code = tmp_path / "code"
    shutil.rmtree(code, ignore_errors=True)
    code.mkdir()
    (code / "trial.py").write_text("my own")
    assert load(package, code) == 1
    assert "trial.py: exists already" in capsys.readouterr().err
    assert [path.name for path in code.rglob("*") if path.is_file()] == ["trial.py"]
    assert (code / "trial.py").read_text() == "my own"
    assert not finished.directory.exists()
    assert ExperimentRegistry().entries() == []


def test_a_package_without_code_wants_a_directory_that_is_there(finished, tmp_path, capsys):
    run(["experiment", "save", finished.id, "-p", str(tmp_path / "saved")])
    run(["experiment", "delete", finished.id])
    package = tmp_path / "saved" / f"nni_experiment_{finished.id}.zip"
    assert load(package, tmp_path / "nowhere") == 1
    assert "codeDir" in capsys.readouterr().err
    (tmp_path / "here").mkdir()
    assert load(package, tmp_path / "here", "-s", str(tmp_path / "space.json")) == 0
    assert "x" in json.loads((tmp_path / "space.json").read_text())
    assert not (tmp_path / "here" / "search_space.json").exists()


@pytest.mark.parametrize("name", ["code/../../evil", "experiment/../../evil", "code//tmp/evil-nni", "code/a\\..\\evil"])
def test_no_path_leaves_the_target(package, finished, tmp_path, capsys, name):
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr(name, "evil")
    before = {path for path in tmp_path.rglob("*") if "evil" in path.name}
    assert load(package, tmp_path / "deep" / "code", "-l", str(tmp_path / "deep" / "root")) == 1
    assert "leaves the directory" in capsys.readouterr().err
    assert {path for path in tmp_path.rglob("*") if "evil" in path.name} == before
    assert not Path("/tmp/evil-nni").exists()
    assert not (tmp_path / "deep").exists()
    assert ExperimentRegistry().entries() == []


def test_a_link_in_a_package_is_refused(package, tmp_path, capsys):
    link = zipfile.ZipInfo("code/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr(link, "/etc")
    assert load(package, tmp_path / "fresh") == 1
    assert "leaves the directory" in capsys.readouterr().err


def test_a_link_in_the_code_directory_leads_nothing_out_of_it(package, tmp_path, capsys):
    (tmp_path / "outside").mkdir()
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "sub").symlink_to(tmp_path / "outside")
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("code/sub/evil", "evil")
    assert load(package, tmp_path / "fresh") == 1
    assert "a link leads out" in capsys.readouterr().err
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("content", [b"no zip at all", None], ids=["garbage", "missing"])
def test_what_is_no_package_is_said_in_one_line(home, tmp_path, capsys, content):
    file = tmp_path / "package.zip"
    if content:
        file.write_bytes(content)
    assert load(file, tmp_path / "code") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "package.zip" in line


def test_a_package_of_a_newer_version_is_refused(home, tmp_path, capsys):
    file = tmp_path / "package.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("nni_package.json", json.dumps({"id": "aaaa1111", "format": 99, "code": False}))
    assert load(file, tmp_path) == 1
    assert "newer version" in capsys.readouterr().err
