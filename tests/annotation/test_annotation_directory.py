"""Directories of annotated code: conversion, ``useAnnotation`` from the command line to the trials, and ``ss_gen``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from nni.annotation import AnnotationError, read_directory
from nni.experiment import Experiment
from nni.tools.nnictl._app import run

TRIAL = '''
import helper

def main():
    """@nni.variable(nni.choice(50, 250, 500), name=batch_size)"""
    batch_size = 128
    """@nni.variable(nni.loguniform(0.001, 0.1), name=lr)"""
    lr = 0.01
    """@nni.function_choice(helper.double(lr), helper.same(lr), name=helper.same)"""
    score = helper.same(lr)
    for step in range(2):
        """@nni.report_intermediate_result(score)"""
    """@nni.report_final_result({"default": score, "batch_size": batch_size})"""
    return batch_size, lr, score

if __name__ == "__main__":
    print(main())
'''
HELPER = "def double(x): return 2 * x\ndef same(x): return x\n"
CONFIG = """
useAnnotation: true
trialCommand: python3 trial.py
trialCodeDirectory: code
trialConcurrency: 2
maxTrialNumber: 4
tuner: {name: Random}
trainingService: {platform: local}
"""


@pytest.fixture
def code(tmp_path):
    """A directory of code, with all that may lie in one."""
    directory = tmp_path / "code"
    (directory / "data" / "empty").mkdir(parents=True)
    (directory / "__pycache__").mkdir()
    (directory / "trial.py").write_text(TRIAL)
    (directory / "helper.py").write_text(HELPER)
    (directory / "notes.py").write_text("this mentions @nni.variable and is no Python\n")
    (directory / "data" / "values.bin").write_bytes(bytes(range(256)))
    (directory / "run.sh").write_text("#!/bin/sh\n")
    (directory / "run.sh").chmod(0o755)
    (directory / "link").symlink_to("data")
    (directory / "nowhere").symlink_to("not/there")
    return directory


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_copy_differs_in_annotated_files_only_and_the_original_not_at_all(code, tmp_path):
    before = contents(code)
    target = tmp_path / "copy"
    read_directory(code).convert_to(target)
    assert contents(code) == before
    copied = contents(target)
    assert copied["trial.py"][2] != before["trial.py"][2]
    assert {name: copied[name] for name in before if name != "trial.py"} == {
        name: before[name] for name in before if name != "trial.py"
    }
    assert (target / "data" / "empty").is_dir()
    assert (target / "link" / "values.bin").is_file()
    assert not (target / "__pycache__").exists()


def test_large_files_are_linked(code, tmp_path):
    with (code / "data" / "large.bin").open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    read_directory(code).convert_to(tmp_path / "copy")
    assert (tmp_path / "copy" / "data" / "large.bin").readlink() == code / "data" / "large.bin"


def test_a_copy_into_the_directory_itself_does_not_copy_itself(code):
    read_directory(code).convert_to(code / "experiments" / "abc" / "annotated", leave_out=[code / "experiments"])
    assert not (code / "experiments" / "abc" / "annotated" / "experiments").exists()


def test_names_are_as_short_as_they_can_be(code):
    (code / "data" / "other.py").write_text(
        "'''@nni.variable(nni.choice(1, 2), name=lr)'''\nlr = 1\n"
        "'''@nni.variable(nni.choice(1, 2), name=a)'''\na = 1\n'''@nni.variable(nni.choice(1, 2), name=a)'''\na = 1\n"
    )
    found = read_directory(code)
    names = ["data/other/lr", "data/other.py:3/a", "data/other.py:5/a", "batch_size", "trial/lr", "helper.same"]
    assert sorted(found.search_space) == sorted(names)
    assert found.places["trial/lr"] == "trial.py:7"


def test_a_directory_without_annotations_is_refused(code):
    (code / "trial.py").write_text("x = 1\n")
    with pytest.raises(AnnotationError, match=r"code: nothing is annotated as to be tuned; expected '''@nni.variable"):
        read_directory(code)


# ---------------------------------------------------------------------------------------- experiments


@pytest.fixture
def config(code):
    """Return a function that writes an experiment file beside the code."""

    def write(text: str = CONFIG) -> str:
        (code.parent / "config.yml").write_text(text)
        return str(code.parent / "config.yml")

    return write


@pytest.mark.parametrize(
    ("tuner", "source", "says"),
    [
        (
            "Random",
            TRIAL.replace("name=lr)", "name=rate)"),
            "useAnnotation: trial.py:7: the next statement must be an as",
        ),
        (
            "GridSearch",
            TRIAL.replace("double(lr)", "double(nni.uniform(0, 1))"),
            "useAnnotation: trial.py:9: helper.same: GridSearch does not support",
        ),
        ("GridSearch", TRIAL, "useAnnotation: trial.py:7: lr: .* type loguniform"),
        (
            "Random",
            TRIAL.replace("0.001, 0.1", "0, 1"),
            "useAnnotation: trial.py:7: lr: low must be positive",
        ),
    ],
)
def test_mistakes_are_told_before_anything_starts(isolated_home, code, config, capsys, tuner, source, says):
    (code / "trial.py").write_text(source)
    assert run(["create", "--config", config(CONFIG.replace("Random", tuner))]) == 1
    error = capsys.readouterr().err
    assert re.search(says, error), error
    assert not list(isolated_home.glob("nni-experiments/*/"))


@pytest.mark.slow
def test_an_annotated_trial_runs_end_to_end(isolated_home, code, config, free_port, capsys):
    before = contents(code)
    assert run(["create", "--config", config(), "--port", str(free_port)]) == 0, capsys.readouterr().err
    experiment = Experiment.connect(free_port)
    assert experiment._finish()
    results = experiment.export_data()
    assert len(results) == 4
    for result in results:
        lr = result.parameter["lr"]
        assert 0.001 <= lr <= 0.1
        expected = 2 * lr if result.parameter["helper.same"] == "helper.double(lr)" else lr
        assert result.value == {"default": expected, "batch_size": result.parameter["batch_size"]}
        assert result.parameter["batch_size"] in {50, 250, 500}
    config_that_ran = experiment.get_experiment_profile()["params"]
    assert set(config_that_ran["searchSpace"]) == {"batch_size", "lr", "helper.same"}
    directory = isolated_home / "nni-experiments" / experiment.id
    script = next(directory.glob("trials/*/run.sh")).read_text().splitlines()
    assert script[1].startswith(f"cd {directory}/annotated ")
    assert contents(code) == before
    alone = subprocess.run([sys.executable, "-S", "trial.py"], cwd=code, capture_output=True, text=True, check=True)
    assert alone.stdout == "(128, 0.01, 0.01)\n"


# ---------------------------------------------------------------------------------------- ss_gen


def test_ss_gen_writes_the_space_of_annotations(code, tmp_path, capsys):
    target = tmp_path / "ss.json"
    assert run(["ss_gen", "--trial_command", "python3 trial.py", "--trial_dir", str(code), "--file", str(target)]) == 0
    space = json.loads(target.read_text())
    assert space == read_directory(code).search_space
    assert space["batch_size"] == {"_type": "choice", "_value": [50, 250, 500]}
    assert "3 annotations" in capsys.readouterr().out


def test_ss_gen_says_where_an_entry_is_wrong(code, tmp_path, capsys):
    (code / "trial.py").write_text(TRIAL.replace("0.001, 0.1", "0, 1"))
    assert run(["ss_gen", "--trial_command", "true", "--trial_dir", str(code), "--file", str(tmp_path / "s")]) == 1
    assert "trial.py:7: " in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_ss_gen_runs_code_without_annotations_which_writes_its_space(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trial.py").write_text(
        "import json, os\nspace = {'x': {'_type': 'choice', '_value': [1]}}\n"
        "json.dump(space, open(os.environ['NNI_GEN_SEARCH_SPACE'], 'w'))\n"
    )
    assert run(["ss_gen", "--trial_command", "python3 trial.py"]) == 0
    assert json.loads((tmp_path / "nni_auto_gen_search_space.json").read_text())["x"]["_value"] == [1]


@pytest.mark.parametrize(
    ("command", "says"), [("true", "NNI_GEN_SEARCH_SPACE"), ("exit 3", "'exit 3' ended with exit code 3")]
)
def test_ss_gen_says_why_there_is_no_space(tmp_path, capsys, monkeypatch, command, says):
    monkeypatch.chdir(tmp_path)
    assert run(["ss_gen", "--trial_command", command]) == 1
    assert says in capsys.readouterr().err
