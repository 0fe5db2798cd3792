"""A log over its limit keeps beginning and end, and one line tells what is missing between them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.common.log_limit import CannotCutError, cut, finish, is_over
from nni.common.log_text import read_log

LIMIT = 256 * 1024
NOTICE = re.compile(rb"^\[nni\] +(\d+) bytes of this log were dropped here \(trialLogLimit: 256kb\)$", re.MULTILINE)


def numbered(start: int, stop: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(start, stop))


def text(path: Path) -> bytes:
    return b"".join(read_log(path))


def shorten(path: Path) -> int:
    try:
        return cut(path, LIMIT, "trialLogLimit: 256kb")
    except CannotCutError as error:
        pytest.skip(f"this file system takes no hole: {error}")


def check(path: Path, everything: bytes) -> None:
    """Beginning and end of the log are those of what was written, and the line between tells the rest exactly."""
    kept = text(path)
    (notice,) = NOTICE.finditer(kept)
    head, tail = kept[: notice.start()], kept[notice.end() + 1 :]
    assert everything.startswith(head)
    assert everything.endswith(tail)
    assert len(head) + len(tail) + int(notice[1]) == len(everything)
    assert len(head) > LIMIT // 8
    assert len(tail) > LIMIT // 4


def test_a_log_is_over_its_limit_by_the_disk_it_takes(tmp_path):
    path = tmp_path / "log"
    assert not is_over(path, LIMIT)
    path.write_bytes(b"x" * LIMIT)
    assert not is_over(path, LIMIT)
    path.write_bytes(b"x" * (4 * LIMIT))
    assert is_over(path, LIMIT)
    shorten(path)
    assert not is_over(path, LIMIT)


@pytest.mark.parametrize("flags", [os.O_APPEND, 0], ids=["opened for appending", "opened as the shell's 2>file"])
def test_whoever_writes_a_log_writes_on_while_it_is_cut(tmp_path, flags):
    path = tmp_path / "log"
    writer = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    everything = b""
    for start in range(0, 500_000, 50_000):
        piece = numbered(start, start + 50_000)
        os.write(writer, piece)
        everything += piece
        if is_over(path, LIMIT):
            shorten(path)
            assert path.stat().st_blocks * 512 <= LIMIT
            check(path, everything)
    os.close(writer)
    assert path.stat().st_size == len(everything)
    assert finish(path, LIMIT, "trialLogLimit: 256kb")
    assert path.stat().st_size <= LIMIT
    assert path.read_bytes() == text(path)
    check(path, everything)


def test_lines_are_kept_whole(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 200_000))
    shorten(path)
    kept = text(path).splitlines()
    assert all(re.fullmatch(rb"line \d+|\[nni\].*", line) for line in kept)
    assert (kept[0], kept[-1]) == (b"line 0", b"line 199999")


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 400_000), min_size=1, max_size=6), width=st.sampled_from([7, 1000, 10**9]))
def test_however_a_log_grows_beginning_and_end_are_right(tmp_path_factory, sizes, width):
    path = tmp_path_factory.mktemp("log") / "log"
    everything = b""
    with path.open("ab", buffering=0) as file:
        for size in sizes:
            piece = b"".join(
                b"\n" if place % width == 0 else b"%c" % (97 + place % 26)
                for place in range(len(everything) + 1, len(everything) + size + 1)
            )
            file.write(piece)
            everything += piece
            if is_over(path, LIMIT):
                shorten(path)
    was_long = len(everything) > LIMIT
    assert finish(path, LIMIT, "trialLogLimit: 256kb") == was_long
    assert path.stat().st_size <= LIMIT
    if was_long and width < 10**9:
        check(path, everything)
    elif was_long:  # one line only: the notice begins a line of its own
        assert path.read_bytes().startswith(everything[: LIMIT // 4] + b"\n[nni]")
    else:
        assert path.read_bytes() == everything


def test_a_log_that_nobody_watched_is_shortened_in_the_end(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 100_000))
    assert finish(path, LIMIT, "trialLogLimit: 256kb")
    check(path, numbered(0, 100_000))
    assert not finish(path, LIMIT, "trialLogLimit: 256kb")


def test_a_missing_log_is_no_error_in_the_end(tmp_path):
    assert not finish(tmp_path / "log", LIMIT, "")


def test_a_cut_log_without_room_for_an_ordinary_file_stays_readable(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        everything = numbered(0, 60_000)
        (disk / "log").write_bytes(everything)
        shorten(disk / "log")
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(OSError, match="No space"):
            finish(disk / "log", LIMIT, "trialLogLimit: 256kb")
        check(disk / "log", everything)
        assert sorted(entry.name for entry in disk.iterdir()) == ["ballast", "log"]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
