"""The disk is full: everything waits, says why, and goes on by itself. Needs the right to mount a small tmpfs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter

import pytest
from reliability_lab import Lab

TRIAL = """
import time, witness
parameters = witness.start()
for step in range(100):
    witness.report("PERIODICAL", {"default": step, "text": "x" * 200})
    time.sleep(0.05)
witness.report("FINAL", parameters["id"])
"""


class Disk:
    """A file system of 32 megabytes that can be filled."""

    def __init__(self, path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Take every byte; repeated, because others free and take some meanwhile."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(lab: Lab):
    """The experiments' directory on a small file system of its own."""
    directory = lab.directory.parent
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", directory], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield Disk(directory)
    lab.close()
    subprocess.run(["umount", "-l", directory], check=True)


def full(lab: Lab, disk: Disk):
    """Fill the disk until the manager has noticed."""

    def noticed():
        disk.fill()
        return lab.status() == "ERROR"

    lab.wait(noticed, "the manager to notice that the disk is full")


def intact(lab: Lab) -> None:
    assert lab.database("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_a_full_disk_is_told_loses_nothing_and_the_experiment_goes_on_by_itself(lab, disk):
    lab.write("trial.py", TRIAL)
    lab.start(trialConcurrency=3, maxTrialNumber=6)
    lab.wait(lambda: len(lab.noted("reports")) > 30, "trials to report")
    full(lab, disk)
    answer, summary = lab.get("/check-status"), lab.get("/summary")
    assert "full" in answer["errors"][-1]
    assert "free some space, it goes on by itself" in answer["errors"][-1]
    assert summary["status"] == "ERROR"
    assert "full" in summary["waiting"]
    assert "full" in lab.refused(
        "PUT", "/experiment?update_type=TRIAL_CONCURRENCY", {"params": {"trialConcurrency": 1}}
    )
    assert len(lab.trials()) >= 3, "reading goes on"
    intact(lab)
    disk.free()
    lab.wait(lambda: lab.status() != "ERROR", "the experiment to go on")
    trials = lab.wait_for_end()
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 6
    intact(lab)
    stored = Counter()
    for trial in trials:
        metrics = lab.get(f"/trials/{trial['id']}/metrics")
        stored.update((trial["id"], item["type"], item["sequence"], repr(item["value"])) for item in metrics)
    assert stored == Counter((t, kind, seq, repr(value)) for t, _, kind, seq, value, _ in lab.noted("reports"))
    assert max(stored.values()) == 1
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}
    assert lab.get("/check-status")["errors"] == []


@pytest.mark.slow
def test_new_trials_wait_for_space_and_say_so(lab, disk):
    lab.write("trial.py", "import time, witness\nwitness.start()\ntime.sleep(3)\nwitness.report('FINAL', 1)\n")
    lab.start(trialConcurrency=1, maxTrialNumber=3)
    lab.wait(lambda: lab.noted("starts"), "the first trial")

    def refused():
        disk.fill()
        return "space" in (reason := lab.get("/summary")["waiting"] or "") or "full" in reason

    lab.wait(refused, "the next trial to wait for space")
    disk.free()
    trials = lab.wait_for_end()
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 3
    assert Counter(trial for trial, *_ in lab.noted("starts")) == {trial["id"]: 1 for trial in trials}


@pytest.mark.slow
def test_an_experiment_can_be_stopped_on_a_full_disk_and_resumed_later(lab, disk):
    lab.write("trial.py", TRIAL)
    lab.start(trialConcurrency=3)
    lab.wait(lambda: len(lab.noted("reports")) > 30, "trials to report")
    full(lab, disk)
    assert lab.stop() == 0
    assert lab.trial_processes() == []
    intact(lab)
    disk.fill()
    said = lab.resume()
    if said["event"] == "error":  # nowhere to write as much as its lock or log
        assert "No space left" in said["message"] or "full" in said["message"]
        assert "Traceback" not in (lab.root / "manager.out").read_text()
    else:
        lab.stop()
    disk.free()
    lab.resume()
    lab.update("MAX_TRIAL_NUM", maxTrialNumber=max(4, len(lab.trials()) + 1))
    lab.wait_for_end()
    intact(lab)
    stored = Counter()
    for trial in lab.trials():
        metrics = lab.get(f"/trials/{trial['id']}/metrics")
        stored.update((trial["id"], item["type"], item["sequence"]) for item in metrics)
        assert [item["value"] for item in metrics] == [record["value"] for record in lab.spool(trial)]
    made = Counter((trial, kind, seq) for trial, _, kind, seq, _, _ in lab.noted("reports"))
    assert not made - stored, "a report that was made is missing"
    assert max(stored.values()) == 1


@pytest.mark.slow
def test_the_manager_may_be_killed_on_a_full_disk(lab, disk):
    lab.write("trial.py", TRIAL)
    lab.start(trialConcurrency=2, maxTrialNumber=2)
    lab.wait(lambda: len(lab.noted("reports")) > 30, "trials to report")
    full(lab, disk)
    os.kill(lab.manager.pid, signal.SIGKILL)
    lab.manager.wait()
    disk.free()
    lab.resume()
    trials = lab.wait_for_end()
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 2
    assert [trial["intermediates"] for trial in trials] == [100, 100]
    intact(lab)


@pytest.mark.slow
def test_an_experiment_that_finds_no_space_to_begin_with_says_so_in_one_line(lab, disk):
    lab.directory.mkdir()
    disk.fill()
    said = lab.start()
    assert said["event"] == "error"
    assert "\n" not in said["message"]
    assert "full" in said["message"] or "No space left" in said["message"]
    assert "Traceback" not in (lab.root / "manager.out").read_text()
