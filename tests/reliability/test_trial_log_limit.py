"""A trial that floods its log fills no disk: ``trialLogLimit``, through a real manager."""

from __future__ import annotations

import re
import subprocess

import pytest
from reliability_lab import Lab

FLOOD = """
import sys, witness
parameters = witness.start()
line = "x" * 1015
for number in range(220 * 1024):  # 220 megabytes
    sys.stdout.write(f"{number:07d} {line}\\n")
witness.report("FINAL", 1)
"""
# As much, but no faster than a manager on a busy machine can be expected to look.
STREAM = """
import os, sys, time, witness
parameters = witness.start()
line = "x" * 1015
for number in range(220 * 1024):
    sys.stdout.write(f"{number:07d} {line}\\n")
    if number % 256 == 0:
        time.sleep(0.012)
sys.stdout.flush()
witness.note("written")
while not os.path.exists("go"):
    time.sleep(0.02)
witness.report("FINAL", 1)
"""
LAST = f"{220 * 1024 - 1:07d} "
NOTICE = re.compile(r"^\[nni\] +(\d+) bytes of this log were dropped here \(trialLogLimit: 2mb\)$", re.MULTILINE)


def is_complete(text: str) -> bool:
    """Whether beginning, end and the line between them make up everything that was written."""
    notice = NOTICE.search(text)
    if notice is None:
        return False
    head, tail = text[: notice.start()], text[notice.end() + 1 :]
    is_right = head.startswith("0000000 ") and tail.rsplit("\n", 2)[1].startswith(LAST)
    return is_right and len(head) + len(tail) + int(notice[1]) == 220 * 1024 * 1024


def test_220_megabytes_of_output_leave_a_log_of_the_size_allowed(lab: Lab):
    lab.write("trial.py", FLOOD)
    lab.plan([{}], once=True)
    lab.start(trialConcurrency=1, trialLogLimit="2mb")
    (trial,) = lab.wait_for_end()
    assert trial["status"] == "SUCCEEDED"
    log = lab.trial_directory(trial) / "trial.log"
    lab.wait(lambda: log.stat().st_size <= 2 * 1024 * 1024, "the log to be shortened")
    assert is_complete(log.read_text())
    assert lab.get(f"/trial-log/{trial['id']}/trial.log?head=1").startswith("0000000 ")
    assert "dropped here" not in lab.get(f"/trial-log/{trial['id']}/trial.log?tail=1")


@pytest.fixture
def small_disk(lab: Lab):
    directory = lab.directory.parent
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", directory], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield
    lab.close()
    subprocess.run(["umount", "-l", directory], check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small_disk")
def test_220_megabytes_of_output_go_through_a_disk_of_48(lab: Lab):
    lab.write("trial.py", STREAM)
    lab.plan([{}], once=True)
    lab.start(trialConcurrency=1, trialLogLimit="2mb")
    lab.wait(lambda: lab.noted("written"), "the trial to write everything")
    (trial,) = lab.trials()
    log = f"/trial-log/{trial['id']}/trial.log"
    lab.wait(lambda: is_complete(lab.get(log)), "the last cut")
    assert is_complete(lab.get(f"/trial-file/{trial['id']}/trial.log"))
    assert lab.get(f"{log}?head=2").splitlines()[1].startswith("0000001 ")
    assert lab.get(f"{log}?tail=1").startswith(LAST)
    assert "is over trialLogLimit: 2mb" in (lab.directory / "log" / "nnimanager.log").read_text()
    (lab.code / "go").touch()
    lab.wait_for_end()
    path = lab.trial_directory(trial) / "trial.log"
    lab.wait(lambda: path.stat().st_size <= 2 * 1024 * 1024, "the log to be shortened")
    assert is_complete(path.read_text())
