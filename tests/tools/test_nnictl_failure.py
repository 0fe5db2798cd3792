"""The last words of a failed trial."""

from __future__ import annotations

import pytest

from nni.tools.nnictl._failure import reason


@pytest.fixture
def trial(tmp_path):
    return {"id": "nrbb2", "directory": str(tmp_path), "message": "exit code 1"}


def test_the_last_line_that_is_not_blank_tells_why(trial, tmp_path):
    (tmp_path / "stderr").write_text("Traceback\n  File ...\nValueError: ü\n\n  \n")
    assert reason(trial) == f"trial nrbb2 failed (exit code 1): ValueError: ü; see {tmp_path}/stderr"


@pytest.mark.parametrize("text", [None, "", "\n\n"])
def test_a_trial_that_said_nothing_has_only_its_status(trial, tmp_path, text):
    if text is not None:
        (tmp_path / "stderr").write_text(text)
    assert reason(trial) == f"trial nrbb2 failed (exit code 1); see {tmp_path}/stderr"


def test_an_endless_line_is_cut(trial, tmp_path):
    (tmp_path / "stderr").write_bytes(b"\xff" + b"x" * 1_000_000)
    assert len(reason(trial)) < 400 + len(str(tmp_path))
