"""``nnictl config files``: what of a code directory is sent to other machines."""

from __future__ import annotations

import json
import os

import pytest

from nni.tools.nnictl._app import run

CONFIG = """
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
trialCommand: python trial.py
trialCodeDirectory: code
trialConcurrency: 1
tuner: {name: Random}
trainingService: {platform: local}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "code" / "data").mkdir(parents=True)
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "code" / "trial.py").write_text("12345")
    (tmp_path / "code" / "data" / "a.bin").write_text("")
    (tmp_path / "code" / ".nniignore").write_text("data/\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ["config.yml", "code"])
def test_an_experiment_file_or_a_directory_may_be_named(folder, capsys, path):
    assert run(["config", "files", path]) == 0
    output = capsys.readouterr()
    assert output.out.split() == ["6", ".nniignore", "5", "trial.py"]
    assert f"2 files, 11 bytes of {folder}/code" in output.err


def test_by_default_it_is_the_current_folder(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder / "code")
    assert run(["config", "files", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"path": ".nniignore", "size": 6}, {"path": "trial.py", "size": 5}]


def test_too_much_is_shown_and_refused(folder, capsys):
    (folder / "code" / "big").touch()
    os.truncate(folder / "code" / "big", 301 * 1024 * 1024)
    assert run(["config", "files", "code"]) == 1
    output = capsys.readouterr()
    assert "big" in output.out
    assert "at most 2000 files and 300 MB are sent" in output.err


def test_what_cannot_be_sent_is_told_beside_the_list(folder, capsys):
    (folder / "code" / "gone").symlink_to("nowhere")
    (folder / "code" / os.fsdecode(b"no\xfftext")).touch()
    assert run(["config", "files", "code"]) == 0
    output = capsys.readouterr()
    assert "left out: gone, a link that leads nowhere" in output.err
    assert "no\\xfftext" in output.out
