"""What workers and managers of functions agree on: records, claims, and who lives."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.training_service.function.lives import Lives
from nni.trial.function_files import (
    Claims,
    WorkerControl,
    ask_to_stop,
    end_record,
    living_worker,
    split,
    start_mark,
    start_record,
)

IDS = st.from_regex(r"[A-Za-z0-9]{5,7}", fullmatch=True)


@given(IDS, st.text(), st.integers(0, 255))
def test_records_are_json_whose_trial_and_type_are_found_without_parsing(trial, message, code):
    start = start_record(trial, 7, 1000, 2.5).encode()
    assert split(start) == (trial, b"START")
    assert start.startswith(start_mark(trial))
    assert json.loads(start) == {
        "trial_job_id": trial,
        "type": "START",
        "sequence_id": 7,
        "timestamp": 1000,
        "steady": 2.5,
    }
    end = end_record(trial, code, 1000, message, leaving=True).encode()
    assert split(end) == (trial, b"END")
    assert json.loads(end)["message"] == message


@pytest.mark.parametrize("line", [b"", b"{}", b'{"trial_job_id":"', b'{"type":"END","trial_job_id":"x"}', b"\xff"])
def test_what_is_no_record_belongs_to_no_trial(line):
    assert split(line) == ("", b"")


class Spool:
    """A file of records, as a worker writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, record: str) -> None:
        with self.path.open("a") as file:
            file.write(record + "\n")


def test_a_new_life_ends_the_right_of_the_former_one_to_begin_trials(tmp_path):
    first = Lives(tmp_path / "workers")
    claims, spool = Claims(first.present), Spool(first.present / "1.spool")
    assert claims.claim(spool, start_record("aaaaa", 0, 1000, 0.0))
    assert claims.claim(spool, start_record("bbbbb", 1, 2000, 0.0))
    second = Lives(tmp_path / "workers")
    assert not claims.claim(spool, start_record("ccccc", 2, 3000, 0.0))
    assert second.present != first.present
    found = second.find("bbbbb", 1)
    assert found is not None
    assert (found.wall, found.pid, found.age) == (2000, None, 0.0)
    assert spool.path.read_bytes()[found.position :].startswith(start_mark("bbbbb"))
    assert second.find("aaaaa").position == 0
    assert second.find("ccccc") is None
    assert second.find("ddddd", 99) is None


def test_a_start_that_a_trial_reports_as_its_result_is_none(tmp_path):
    first = Lives(tmp_path / "workers")
    text = start_record("ddddd", 3, 1000, 0.0)
    record = {"trial_job_id": "aaaaa", "type": "FINAL", "value": {"x": json.loads(text), "text": "\n" + text}}
    (first.present / "1.spool").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    assert Lives(tmp_path / "workers").find("ddddd", 3) is None


def live(path: str, ready, end) -> None:
    control = WorkerControl(path)
    ready.set()
    end.wait(60)
    os._exit(0 if control.is_stopped() else 1)


def test_a_worker_lives_as_long_as_its_lock_and_hears_that_it_shall_stop(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    path = str(tmp_path / "1.control")
    assert living_worker(path) is None
    worker = context.Process(target=live, args=(path, ready, end))
    worker.start()
    assert ready.wait(60)
    assert living_worker(path) == worker.pid
    ask_to_stop(path)
    end.set()
    worker.join(60)
    assert worker.exitcode == 0
    assert living_worker(path) is None
