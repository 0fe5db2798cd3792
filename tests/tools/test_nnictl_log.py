"""``nnictl log``: read from disk, whatever has died; ``-h`` is ``--head`` (PLT-019, PLT-051…053, PLT-384)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nni.common.log_limit import CannotCutError, cut
from nni.tools.nnictl._app import run


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


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--show"], b"out 0\nout 1\nout 2\n"),
        (["--head", "1"], b"out 0\n"),
        (["--tail", "1"], b"out 2\n"),
        (["--stderr", "--tail", "2"], b"err 1\nerr 2\n"),
    ],
    ids=["whole", "head", "tail", "tail of stderr"],
)
def test_trial_shows_the_log_of_one_trial(add_stopped, capfdbinary, options, shown):
    directory = add_stopped("egchD4qy").directory / "trials" / "nrbb2"
    directory.mkdir(parents=True)
    (directory / "trial.log").write_text("out 0\nout 1\nout 2\n")
    (directory / "stderr").write_text("err 0\nerr 1\nerr 2\n")
    assert run(["log", "trial", "egchD4qy", "-T", "nrbb2", *options]) == 0
    assert capfdbinary.readouterr().out == shown


def test_trial_shows_a_log_whose_middle_was_dropped(add_stopped, capfdbinary):
    log = add_stopped("egchD4qy").directory / "trials" / "nrbb2" / "trial.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)))
    try:
        missing = cut(log, 256 * 1024, "trialLogLimit: 256kb")
    except CannotCutError as error:
        pytest.skip(f"this file system takes no hole: {error}")
    assert run(["log", "trial", "-T", "nrbb2", "--show"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == (b"line 0", b"line 99999")
    assert [line for line in lines if not line.startswith(b"line ")] == [
        b"[nni] %15d bytes of this log were dropped here (trialLogLimit: 256kb)" % missing
    ]


def test_a_log_is_shown_of_one_trial_only(add_stopped):
    add_stopped("egchD4qy")
    assert run(["log", "trial", "--head", "1"]) == 2
    assert run(["log", "trial", "-T", "nrbb2", "--head", "1", "--tail", "1"]) == 2
    assert run(["log", "trial", "-T", "nrbb2", "--head", "1", "--follow"]) == 2


def test_a_trial_that_has_not_started_has_no_log_to_show(add_stopped, capsys):
    (add_stopped("egchD4qy").directory / "trials" / "nrbb2").mkdir(parents=True)
    assert run(["log", "trial", "-T", "nrbb2", "--show"]) == 1
    assert "trial.log does not exist: the trial has not started yet" in capsys.readouterr().err


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


def test_an_empty_trial_log_says_that_there_are_errors(add_stopped, capsys):
    directory = add_stopped("egchD4qy").directory / "trials" / "nrbb2"
    directory.mkdir(parents=True)
    (directory / "trial.log").touch()
    (directory / "stderr").touch()
    assert run(["log", "trial", "egchD4qy", "-T", "nrbb2", "--show"]) == 0
    assert capsys.readouterr().err == ""
    (directory / "stderr").write_text("ValueError: boom\n")
    assert run(["log", "trial", "egchD4qy", "-T", "nrbb2", "--show"]) == 0
    assert "shown with --stderr" in capsys.readouterr().err
