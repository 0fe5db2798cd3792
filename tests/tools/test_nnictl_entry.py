"""The console script itself: version, help, and errors in one line instead of a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nni.common.version import __version__
from nni.tools.nnictl._app import run


def nnictl(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_the_version_is_printed(flag):
    result = nnictl(flag)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{__version__}\n", "")


def test_the_version_needs_no_third_party_import():
    program = (
        "import sys; sys.argv = ['nnictl', '--version']; from nni.tools.nnictl.entry import main; main();"
        "print(sorted({'typer', 'rich', 'httpx', 'pydantic', 'filelock'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_listing_experiments_imports_no_http_no_config_and_no_numbers(add_stopped):
    add_stopped("egchD4qy")
    program = (
        "import sys; from nni.tools.nnictl._app import run; run(['experiment', 'list', '--all']);"
        "print(sorted({'httpx', 'nni.config', 'numpy', 'psutil', 'fastapi'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_create_help_lists_the_documented_options(capsys):
    assert run(["create", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--config", "-c", "--port", "-p", "--debug", "-d", "--foreground", "-f"):
        assert option in text


def test_wrong_usage_ends_with_2():
    assert run(["create"]) == 2
    assert run(["nonsense"]) == 2
    assert run(["trial", "ls", "--head", "0"]) == 2


def test_a_users_mistake_is_one_line_on_stderr_and_ends_with_1(tmp_path):
    result = nnictl("create", "--config", str(tmp_path / "missing.yml"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "missing.yml" in result.stderr
    assert "Traceback" not in result.stderr


def test_list_tells_when_there_is_nothing_to_list(capsys):
    assert run(["experiment", "list"]) == 0
    assert "no experiment running" in capsys.readouterr().out


def test_list_shows_running_ones_and_with_all_stopped_ones_too(add_stopped, add_running, capsys):
    add_stopped("oldoldol", name="Old one")
    add_running("egchD4qy", 8081)
    assert run(["experiment", "list", "--json"]) == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)] == ["egchD4qy"]
    assert run(["experiment", "list", "--all"]) == 0
    table = capsys.readouterr().out
    assert "egchD4qy" in table
    assert "Old one" in table


@pytest.mark.parametrize("columns", [80, 160])
def test_the_table_fits_the_terminal(add_stopped, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    add_stopped(
        "egchD4qy", name="a rather long name of an experiment, longer than its column", end_time=1_700_000_060_000
    )
    assert run(["experiment", "list", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "59s" in lines[2]


def test_the_status_of_a_stopped_experiment_needs_no_manager(add_stopped, capsys):
    add_stopped("egchD4qy")
    assert run(["experiment", "status", "egchD4qy"]) == 0
    assert capsys.readouterr().out == "STOPPED\n"
    assert run(["experiment", "status", "egchD4qy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"status": "STOPPED", "errors": [], "waiting": None}


def test_a_stopped_experiment_is_shown_from_the_registry(add_stopped, capsys):
    add_stopped("egchD4qy", name="Example")
    assert run(["experiment", "show", "egchD4qy"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert "STOPPED" in text


def test_the_context_is_the_last_created_experiment(add_stopped, capsys):
    assert run(["config", "show"]) == 1
    add_stopped("aaaa1111")
    add_stopped("bbbb2222")
    capsys.readouterr()
    assert run(["config", "show"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "bbbb2222"


def test_a_running_experiment_whose_rest_does_not_answer_is_an_error(add_running, free_port, capsys):
    add_running("egchD4qy", free_port)
    assert run(["trial", "ls"]) == 1
    assert f"no experiment answers on port {free_port}" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named_with_the_reason(capsys, tmp_path):
    assert run(["config", "schema", "--output", str(tmp_path / "none" / "schema.json")]) == 1
    assert capsys.readouterr().err == f"ERROR: {tmp_path}/none/schema.json: No such file or directory\n"


def test_a_stopped_experiment_has_no_port_in_the_list(add_stopped, capsys):
    add_stopped("egchD4qy", 8081)
    assert run(["experiment", "list", "--all"]) == 0
    assert "8081" not in capsys.readouterr().out


def test_a_lost_manager_is_explained(add_stopped, capsys):
    add_stopped("aaaa1111")
    add_stopped("bbbb2222", end_time=1_700_000_060_000)
    for command in ("status", "show"):
        assert run(["experiment", command, "aaaa1111"]) == 0
        assert "nnictl resume aaaa1111" in capsys.readouterr().err
        assert run(["experiment", command, "bbbb2222"]) == 0
        assert capsys.readouterr().err == ""


def test_resume_takes_the_beginning_of_an_id_and_names_similar_ones(add_stopped, capsys):
    add_stopped("aaaa1111")
    assert run(["resume", "aaaa"]) == 1  # this one never came as far as a database
    assert "experiment aaaa1111" in capsys.readouterr().err
    assert run(["resume", "aaaa1112"]) == 1
    assert "did you mean aaaa1111" in capsys.readouterr().err
    add_stopped("aaaa2222")
    assert run(["resume", "aaaa"]) == 1
    assert "several experiment ids begin with 'aaaa'" in capsys.readouterr().err


def test_ctrl_c_while_modules_are_imported_is_silent():
    program = (
        "import sys; sys.argv = ['nnictl', 'top']\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from nni.tools.nnictl.entry import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")
