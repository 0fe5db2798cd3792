"""The metric file: whole lines whatever happens to the writer, the disk or the manager."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from nni.trial import session as spool_module
from nni.trial.session import MAX_RECORD_BYTES, Spool


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics"


@pytest.fixture
def small_disk(tmp_path):
    """A directory with room for 64 KiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def lines(path) -> list[str]:
    *whole, rest = path.read_text().split("\n")
    assert rest == "", "the last line is unfinished"
    return whole


def test_records_are_appended_to_what_is_there(path):
    path.write_text('{"old": 1}\n')
    Spool(str(path), None, "abcde").append('{"new": 2}')
    assert lines(path) == ['{"old": 1}', '{"new": 2}']


@pytest.mark.parametrize("torn", ["{", '{"half": 1', "x" * 5000])
def test_a_line_that_a_killed_writer_left_unfinished_does_not_swallow_the_next(path, torn):
    path.write_text('{"whole": 1}\n' + torn)
    Spool(str(path), None, "abcde").append('{"next": 2}')
    assert lines(path) == ['{"whole": 1}', torn, '{"next": 2}']


def test_a_line_that_another_process_leaves_unfinished_meanwhile_does_not_either(path):
    spool = Spool(str(path), None, "abcde")
    spool.append('{"a": 1}')
    with path.open("a") as other:
        other.write('{"torn')
    spool.append('{"b": 2}')
    assert lines(path) == ['{"a": 1}', '{"torn', '{"b": 2}']


def test_a_record_over_the_limit_is_refused_with_advice_and_nothing_is_written(path):
    spool = Spool(str(path), None, "abcde")
    with pytest.raises(ValueError, match=r"1,000,001 bytes as JSON, the limit is 1,000,000.*NNI_OUTPUT_DIR"):
        spool.append("x" * MAX_RECORD_BYTES)
    assert path.read_bytes() == b""
    spool.append("x" * (MAX_RECORD_BYTES - 1))
    assert path.stat().st_size == MAX_RECORD_BYTES


def test_a_full_device_is_announced_once_and_given_up_with_the_path(monkeypatch, capfd):
    monkeypatch.setattr(spool_module, "_DISK_FULL_PATIENCE", 0.6)
    spool = Spool("/dev/full", None, "abcde")
    with pytest.raises(OSError, match=r"no space left to record a metric.*'/dev/full'") as refusal:
        spool.append("{}")
    assert refusal.value.errno == errno.ENOSPC
    assert capfd.readouterr().err.count("no space left on device for /dev/full; waiting up to") == 1


def test_a_full_disk_is_waited_for_also_when_it_cannot_be_announced(small_disk):
    """Standard error is most often a file of the same disk."""
    path, ballast = small_disk / "metrics", small_disk / "ballast"
    path.touch()
    code = f"from nni.trial.session import Spool\nSpool({str(path)!r}, None, 'abcde').append('x' * 5000)\n"
    with (small_disk / "stderr").open("w") as stderr:
        fill(ballast)
        process = subprocess.Popen([sys.executable, "-c", code], stderr=stderr)
        wait_until_it_sleeps(process.pid)
        ballast.unlink()
        assert process.wait(60) == 0
    assert lines(path) == ["x" * 5000]


def fill(ballast) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


def wait_until_it_sleeps(pid: int) -> None:
    """Return once a Python process is inside time.sleep, as it is between two attempts to write."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        where = Path(f"/proc/{pid}/wchan").read_text()
        call = Path(f"/proc/{pid}/syscall").read_text().split()[0]
        # clock_nanosleep on x86-64 and arm64; Python 3.10 sleeps in select (pselect6 on arm64).
        if "nanosleep" in where or call in {"230", "115", "23", "270", "72"}:
            return
        time.sleep(0.02)
    pytest.fail(f"the writer never waited: {where}")


WRITER = """
import sys
from nni.trial.session import Spool
spool = Spool(sys.argv[1], None, "abcde")
for number in range(int(sys.argv[3])):
    spool.append('{"writer": %s, "number": %d, "text": "%s"}' % (sys.argv[2], number, "x" * (number * 997 % 3000)))
"""


def start_writers(path, count: int, records: int) -> list[subprocess.Popen]:
    command = [sys.executable, "-c", WRITER, str(path)]
    return [subprocess.Popen([*command, str(writer), str(records)]) for writer in range(count)]


def test_several_processes_report_at_once_and_every_line_is_whole(path):
    assert [process.wait() for process in start_writers(path, 4, 500)] == [0] * 4
    found = Counter((record["writer"], record["number"]) for record in map(json.loads, lines(path)))
    assert found == dict.fromkeys([(writer, number) for writer in range(4) for number in range(500)], 1)


def test_several_processes_on_a_disk_that_gets_full_lose_and_mix_nothing(small_disk):
    path, ballast = small_disk / "metrics", small_disk / "ballast"
    with ballast.open("wb") as file:
        file.write(b"x" * 40_000)
    writers = start_writers(path, 4, 8)  # together more than what is left
    deadline = time.monotonic() + 60
    while os.statvfs(small_disk).f_bavail:  # then one sleeps with half a record written, the others wait for its lock
        assert time.monotonic() < deadline, "the disk never got full"
        time.sleep(0.02)
    ballast.unlink()
    assert [process.wait(120) for process in writers] == [0] * 4
    found = Counter((record["writer"], record["number"]) for record in map(json.loads, lines(path)))
    assert found == dict.fromkeys([(writer, number) for writer in range(4) for number in range(8)], 1)


def test_a_forked_child_reports_into_the_same_file(path):
    code = """
import os, sys
from nni.trial.session import Spool
spool = Spool(sys.argv[1], None, "abcde")
spool.append('"before"')
child = os.fork()
for number in range(200):
    spool.append('"%s %d"' % ("parent" if child else "child", number))
if child:
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    expected = {'"before"', *(f'"{who} {number}"' for who in ("parent", "child") for number in range(200))}
    assert Counter(lines(path)) == dict.fromkeys(expected, 1)


def test_threads_report_at_once_and_every_line_is_whole(path):
    spool = Spool(str(path), None, "abcde")
    threads = [
        threading.Thread(target=lambda name=name: [spool.append(f'"{name} {n}"') for n in range(200)])
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(lines(path)) == dict.fromkeys([f'"{name} {n}"' for name in "abcd" for n in range(200)], 1)


# The doorbell


@pytest.fixture
def doorbell(tmp_path):
    path = tmp_path / "doorbell"
    os.mkfifo(path)
    return path


def test_each_report_rings_with_the_trial_s_id(path, doorbell):
    listener = os.open(doorbell, os.O_RDWR | os.O_NONBLOCK)
    spool = Spool(str(path), str(doorbell), "MoXrp")
    spool.append("1")
    spool.append("2")
    assert os.read(listener, 100) == b"MoXrp\nMoXrp\n"
    os.close(listener)


@pytest.mark.parametrize("kind", ["nobody listens", "no FIFO", "a directory"])
def test_without_a_manager_the_ring_is_lost_and_the_record_is_not(path, doorbell, kind):
    place = {"nobody listens": doorbell, "no FIFO": doorbell.with_name("gone"), "a directory": path.parent}[kind]
    spool = Spool(str(path), str(place), "MoXrp")
    for number in range(20_000 if kind == "nobody listens" else 3):  # more rings than a pipe holds
        spool.append(str(number))
    assert lines(path)[-1] in {"19999", "2"}


def test_a_manager_that_dies_does_not_take_the_trial_with_it(path, doorbell):
    """Also where the program gave SIGPIPE its deadly default back, as many command-line tools do."""
    code = """
import os, signal, sys
from nni.trial.session import Spool
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
spool = Spool(sys.argv[1], sys.argv[2], "MoXrp")
spool.append("1")
print("ready", flush=True)
sys.stdin.readline()
spool.append("2")
"""
    listener = os.open(doorbell, os.O_RDWR | os.O_NONBLOCK)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(doorbell)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        os.close(listener)
        process.communicate(b"\n")
    assert process.returncode == 0, f"ended by {signal.Signals(-process.returncode).name}"
    assert lines(path) == ["1", "2"]
