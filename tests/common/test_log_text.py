"""Log files are read whole or by their first and last lines, and round the hole that a dropped middle leaves."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.common.log_text import follow_log, read_log

BLOCK = 4096


def read(path: Path, **which: int) -> bytes:
    return b"".join(read_log(path, **which))


def punch(path: Path, begin: int, end: int) -> None:
    """Give a range of a file back to the file system, by the system call itself."""
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    with path.open("r+b") as file:
        if fallocate(file.fileno(), 3, begin, end - begin):
            pytest.skip(f"this file system takes no hole: {os.strerror(ctypes.get_errno())}")


lines_of_a_log = st.lists(st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=20)


@given(lines=lines_of_a_log, count=st.integers(0, 25), open_end=st.booleans())
def test_head_and_tail_are_the_lines_that_splitting_the_file_gives(tmp_path_factory, lines, count, open_end):
    if open_end and lines and lines[-1] != b"\n":
        lines[-1] = lines[-1][:-1]
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(b"".join(lines))
    assert read(path) == b"".join(lines)
    assert read(path, head=count) == b"".join(lines[:count])
    assert read(path, tail=count) == b"".join(lines[len(lines) - min(count, len(lines)) :])


def test_lines_that_are_longer_than_a_piece_are_found(tmp_path):
    lines = [bytes([65 + number]) * 150_000 + b"\n" for number in range(5)]
    path = tmp_path / "log"
    path.write_bytes(b"".join(lines))
    assert read(path, head=2) == lines[0] + lines[1]
    assert read(path, tail=2) == lines[3] + lines[4]


def test_a_carriage_return_ends_no_line(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"10%\r20%\rdone\nnext\n")
    assert read(path, head=1) == b"10%\r20%\rdone\n"


@given(before=st.integers(1, 3 * BLOCK), gap=st.integers(3 * BLOCK, 9 * BLOCK), behind=st.integers(1, 3 * BLOCK))
def test_a_hole_is_left_out_together_with_the_zeros_around_it(tmp_path_factory, before, gap, behind):
    path = tmp_path_factory.mktemp("log") / "log"
    first, last = b"a" * (before - 1) + b"\n", b"b" * (behind - 1) + b"\n"
    path.write_bytes(first + b"x" * gap + last)
    punch(path, before, before + gap)
    assert read(path) == first + last
    assert read(path, head=1) == first
    assert read(path, tail=1) == last
    assert read(path, tail=2) == first + last


def test_a_file_that_is_nothing_but_a_hole_has_no_text(tmp_path):
    path = tmp_path / "log"
    path.touch()
    os.truncate(path, 10 * BLOCK)
    assert read(path) == b""
    assert read(path, tail=3) == b""


def test_zeros_that_a_program_wrote_are_part_of_the_text(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"a\n" + b"\0" * 10 + b"b\n")
    assert read(path) == b"a\n" + b"\0" * 10 + b"b\n"


def test_a_missing_file_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "nothing")


def test_a_log_that_is_cut_while_it_is_read_gives_no_zeros(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(200_000)))
    pieces = read_log(path)
    first = next(pieces)
    punch(path, 100 * BLOCK + 8, 380 * BLOCK)
    lines = (first + b"".join(pieces)).splitlines()
    assert (lines[0], lines[-1]) == (b"0000000", b"0199999")
    assert all(len(line) == 7 and line.isdigit() for line in lines)


def test_a_log_is_followed_until_nothing_more_comes(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    more = iter([b"second\n", b"", b"third"])

    def goes_on() -> bool:
        piece = next(more, None)
        if piece is not None:
            with path.open("ab") as file:
                file.write(piece)
        return piece is not None

    pieces = follow_log(path, goes_on)
    assert next(pieces) == b"first\nsecond\n"
    assert list(pieces) == [b"third"]


def test_a_log_that_is_cut_while_it_is_followed_gives_what_is_left_of_the_rest(tmp_path):
    path = tmp_path / "log"
    lines = [b"%07d\n" % number for number in range(BLOCK)]  # 8 blocks
    path.write_bytes(b"".join(lines[:10]))

    def goes_on() -> bool:
        if path.stat().st_size == 80:
            with path.open("ab") as file:
                file.write(b"".join(lines[10:]))
            punch(path, 400, 6 * BLOCK)
            return True
        return False

    assert b"".join(follow_log(path, goes_on)) == b"".join([*lines[:50], *lines[6 * BLOCK // 8 :]])
