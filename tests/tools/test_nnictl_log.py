"""``nnictl log``: read from disk, whatever has died; ``-h`` is ``--head`` (PLT-019, PLT-051…053, PLT-384)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.tools.nnictl._app import run
from nni.tools.nnictl._log import tail_offset


@pytest.fixture
def logs(add_stopped):
    entry = add_stopped("egchD4qy")
    (entry.directory / "log" / "nnictl_stdout.log").write_text("".join(f"out {n}\n" for n in range(10)))
    (entry.directory / "log" / "nnictl_stderr.log").write_text("".join(f"err {n}\n" for n in range(10)))
    return entry


def test_the_whole_log_is_shown_by_default(logs, capfdbinary):
    assert run(["log", "stdout", "egchD4qy"]) == 0
    assert capfdbinary.readouterr().out.splitlines() == [f"out {n}".encode() for n in range(10)]


def test_h_is_head_and_not_help(logs, capfdbinary):
    assert run(["log", "stdout", "-h", "3"]) == 0
    assert capfdbinary.readouterr().out == b"out 0\nout 1\nout 2\n"


def test_tail_shows_the_last_lines(logs, capfdbinary):
    assert run(["log", "stderr", "egchD4qy", "-t", "2"]) == 0
    assert capfdbinary.readouterr().out == b"err 8\nerr 9\n"


def test_path_prints_where_the_log_is(logs, capsys):
    assert run(["log", "stderr", "--path"]) == 0
    assert capsys.readouterr().out == f"{logs.directory}/log/nnictl_stderr.log\n"


def test_head_and_tail_together_are_wrong_usage(logs):
    assert run(["log", "stdout", "--head", "1", "--tail", "1"]) == 2


def test_a_missing_log_is_an_error_with_its_path(add_stopped, capsys):
    add_stopped("egchD4qy")
    assert run(["log", "stderr"]) == 1
    assert "nnictl_stderr.log does not exist" in capsys.readouterr().err


@given(lines=st.lists(st.binary(max_size=5), max_size=20), count=st.integers(0, 25), open_end=st.booleans())
def test_tail_finds_the_same_lines_as_splitting_the_file(tmp_path_factory, lines, count, open_end):
    lines = [line.replace(b"\n", b"") + b"\n" for line in lines]
    if open_end and lines and lines[-1] != b"\n":
        lines[-1] = lines[-1][:-1]
    path = tmp_path_factory.mktemp("tail") / "log"
    path.write_bytes(b"".join(lines))
    assert path.read_bytes()[tail_offset(path, count) :] == b"".join(lines[len(lines) - min(count, len(lines)) :])


def test_tail_of_a_file_of_many_blocks_reads_lines_across_block_borders(tmp_path):
    path = tmp_path / "log"
    path.write_text("".join(f"{n} {'x' * 50_000}\n" for n in range(10)))
    assert path.read_bytes()[tail_offset(path, 3) :].startswith(b"7 xxx")


def test_a_reader_that_has_seen_enough_is_no_error(logs):
    (logs.directory / "log" / "nnictl_stdout.log").write_text("a line\n" * 200_000)
    program = "from nni.tools.nnictl._app import run; run(['log', 'stdout'])"
    pipe = f'"{sys.executable}" -c "{program}" | head -n 1'
    result = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("a line\n", "")


def test_trial_prints_the_path_of_one_trials_log(add_stopped, capsys):
    entry = add_stopped("egchD4qy")
    (entry.directory / "trials" / "nrbb2").mkdir(parents=True)
    assert run(["log", "trial", "egchD4qy", "-T", "nrbb2"]) == 0
    assert capsys.readouterr().out == f"{entry.directory}/trials/nrbb2/trial.log\n"


def test_trial_without_a_trial_id_lists_all(add_stopped, capsys):
    entry = add_stopped("egchD4qy")
    for name in ("nrbb2", "MoXrp"):
        (entry.directory / "trials" / name).mkdir(parents=True)
    assert run(["log", "trial", "--json"]) == 0
    listed = {item["trialJobId"]: item["path"] for item in json.loads(capsys.readouterr().out)}
    assert listed == {name: f"{entry.directory}/trials/{name}/trial.log" for name in ("nrbb2", "MoXrp")}


def test_an_unknown_trial_names_similar_ones(add_stopped, capsys):
    entry = add_stopped("egchD4qy")
    (entry.directory / "trials" / "nrbb2").mkdir(parents=True)
    assert run(["log", "trial", "-T", "nrbb3"]) == 1
    assert "did you mean nrbb2" in capsys.readouterr().err


def test_an_empty_log_says_where_more_is(logs, capsys):
    (logs.directory / "log" / "nnictl_stderr.log").write_text("")
    assert run(["log", "stderr"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "is empty" in output.err
    assert "nnimanager.log" in output.err
