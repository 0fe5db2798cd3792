"""Logs of local trials stay below ``trialLogLimit`` while the trials run, and are ordinary files afterwards."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from nni.common.log_text import read_log
from nni.testing.training_service import Observer, form
from nni.training_service import Adoption
from nni.training_service.local import LocalSettings, LocalTrainingService, LogLimit

LIMIT = 1024 * 1024
FLOOD = """
import os, sys, time
for number in range(150_000):  # 1.5 megabytes and more on each
    print("out", number)
    print("err", number, file=sys.stderr)
sys.stdout.flush()
while not os.path.exists("go"):
    time.sleep(0.02)
print("out the end")
print("err the end", file=sys.stderr)
"""


def notice_in(text: bytes) -> bytes:
    (notice,) = re.findall(rb"^\[nni\].*$", text, re.MULTILINE)
    return bytes(notice)


def flood(tmp_path: Path, scenario, preload: tuple[str, ...] = ()) -> None:
    """Run a scenario with a service and a trial that floods both logs and then waits for ``go``."""
    (tmp_path / "flood.py").write_text(FLOOD)
    (tmp_path / "trials").mkdir()
    command = f"{sys.executable} flood.py"
    limit = LogLimit(LIMIT, "trialLogLimit: 1mb")

    def service() -> Observer:
        settings = LocalSettings("ABCDEFGH", tmp_path, command, tmp_path, preload=preload, log_limit=limit)
        return Observer(LocalTrainingService(settings))

    asyncio.run(scenario(service))


def is_cut(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > LIMIT > path.stat().st_blocks * 512


def trial_logs(tmp_path: Path) -> list[Path]:
    return [tmp_path / "trials" / "abcde" / name for name in ("trial.log", "stderr")]


@pytest.mark.parametrize("preload", [(), ("json",)], ids=["cold start", "warm start"])
def test_both_logs_of_a_running_trial_are_cut_and_are_ordinary_files_when_it_has_ended(tmp_path, preload):
    async def scenario(service):
        observer = service()
        await observer.service.submit_trial_job(form("abcde", "x"))
        logs = trial_logs(tmp_path)
        await observer.until(lambda: all(map(is_cut, logs)), "the logs to be cut while the trial runs")
        (tmp_path / "go").touch()
        await observer.until(lambda: observer.ended("abcde"), "the end")
        await observer.close()
        for path, word in zip(logs, (b"out", b"err"), strict=True):
            text = path.read_bytes()
            assert len(text) <= LIMIT
            assert text.startswith(word + b" 0\n")
            assert text.endswith(word + b" the end\n")
            assert b"dropped here (trialLogLimit: 1mb)" in notice_in(text)

    flood(tmp_path, scenario, preload)


def test_the_logs_of_an_adopted_trial_are_cut_too(tmp_path):
    async def scenario(service):
        first = service()
        await first.service.submit_trial_job(form("abcde", "x"))
        await first.until((tmp_path / "trials/abcde/.nni/jobpid").exists, "the trial to start")
        await first.abandon()
        first.service.close()
        second = service()
        await second.service.adopt_trial_jobs([Adoption(form("abcde", "x"), 0, 0, None)])
        log = trial_logs(tmp_path)[0]
        await second.until(lambda: is_cut(log), "the log to be cut by the next manager")
        assert b"".join(read_log(log, head=1)) == b"out 0\n"
        (tmp_path / "go").touch()
        await second.until(lambda: second.ended("abcde"), "the end")
        await second.close()
        assert log.stat().st_size <= LIMIT

    flood(tmp_path, scenario)


def test_logs_below_the_limit_are_left_alone(tmp_path):
    (tmp_path / "small.py").write_text("print('x' * 1000)")

    async def scenario():
        settings = LocalSettings(
            "ABCDEFGH", tmp_path, f"{sys.executable} small.py", tmp_path, log_limit=LogLimit(LIMIT, "1mb")
        )
        (tmp_path / "trials").mkdir()
        observer = Observer(LocalTrainingService(settings))
        await observer.service.submit_trial_job(form("abcde", "x"))
        await observer.until(lambda: observer.ended("abcde"), "the end")
        await observer.close()
        assert trial_logs(tmp_path)[0].read_bytes() == b"x" * 1000 + b"\n"

    asyncio.run(scenario())
