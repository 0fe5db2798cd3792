"""Completion in the shells, asked for as the shells do; and what it must not cost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nni.store import Batch, Profile, Store, Trial
from nni.tools.nnictl._app import run

PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


def nnictl(environment: dict[str, str], *arguments: str, program: str = PROGRAM) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in result.stderr
    return result.stdout


def offered(line: str, program: str = PROGRAM) -> list[str]:
    """Ask as bash does for what may stand at the end of a line."""
    words = line.split(" ")
    asked = {"_NNICTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return nnictl(asked, program=program).split()


@pytest.fixture
def two(add_stopped):
    """Two stopped experiments, the newer one with two trials."""
    add_stopped("aaaa1111", name="wine")
    entry = add_stopped("bbbb2222")
    (entry.directory / "db").mkdir()
    store = Store(entry.directory / "db" / "nni.sqlite")
    batch = Batch(profile=Profile("bbbb2222", {}))
    batch.trials = {0: Trial("xyz01", 0, 0, "algorithm", "{}"), 1: Trial("abc02", 1, 1, "algorithm", "{}")}
    store.commit(batch)
    store.close()


def test_commands_are_completed():
    assert "experiment" in offered("nnictl exp")
    assert {"searchspace", "concurrency", "duration", "trialnum"} <= set(offered("nnictl update "))


def test_ids_are_completed_newest_first(two):
    assert offered("nnictl experiment show ") == ["bbbb2222", "aaaa1111"]
    assert offered("nnictl experiment show a") == ["aaaa1111"]


def test_only_experiments_that_a_command_can_take_are_offered(two, add_running):
    add_running("cccc3333", 8081)
    assert offered("nnictl stop ") == ["cccc3333"]
    assert offered("nnictl resume ") == ["bbbb2222", "aaaa1111"]


def test_trials_are_those_of_the_experiment_that_is_meant(two):
    assert offered("nnictl log trial -T ") == ["abc02", "xyz01"]
    assert offered("nnictl log trial bbbb2222 -T x") == ["xyz01"]
    assert offered("nnictl log trial aaaa1111 -T ") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_names_stand_beside_the_ids_where_the_shell_shows_them(two, shell):
    asked = {
        "_NNICTL_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "nnictl experiment show a",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    answer = nnictl(asked)
    assert "aaaa1111" in answer
    assert "wine STOPPED" in answer


def test_a_broken_list_of_experiments_offers_nothing_and_says_nothing(home):
    (home / "nni-experiments").write_text("a file where a directory should be")
    assert offered("nnictl experiment show ") == []


def test_it_imports_nothing_heavy(two):
    heavy = "{'httpx', 'nni.config', 'numpy', 'psutil', 'fastapi'}"
    report = f"import atexit, sys; atexit.register(lambda: print(*sorted({heavy} & set(sys.modules))));"
    assert offered("nnictl log trial -T x", program=report + PROGRAM) == ["xyz01"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell):
    alone = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert "_NNICTL_COMPLETE" in nnictl(alone, "--show-completion", shell)


@pytest.mark.requires_program("bash")
def test_the_script_works_in_a_real_bash(two, tmp_path):
    script = nnictl({"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}, "--show-completion", "bash")
    command = tmp_path / "bin" / "nnictl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{PROGRAM}" "$@"\n')
    command.chmod(0o755)
    session = (
        script
        + "\nCOMP_WORDS=(nnictl experiment show a); COMP_CWORD=3; _nnictl_completion nnictl; echo ${COMPREPLY[@]}"
    )
    path = f"{command.parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", session], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["aaaa1111"]


def test_help_names_the_options_that_install_it(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--install-completion" in text
    assert "--show-completion" in text
