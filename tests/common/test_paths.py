from __future__ import annotations

from pathlib import Path

import pytest

from nni.common.paths import absolute, default_experiments_directory


def test_a_relative_path_is_based_on_the_given_directory(tmp_path):
    assert absolute("a/b.json", tmp_path) == tmp_path / "a" / "b.json"


def test_a_relative_path_is_based_on_the_current_directory_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute(".") == tmp_path
    assert absolute("x", "sub") == tmp_path / "sub" / "x"


def test_an_absolute_path_stays(tmp_path):
    assert absolute(tmp_path / "x", "/elsewhere") == tmp_path / "x"


def test_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert absolute("~/x", "/elsewhere") == tmp_path / "x"
    assert default_experiments_directory() == tmp_path / "nni-experiments"


def test_a_symbolic_link_stays_as_it_is_written(tmp_path):
    (tmp_path / "target" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "target" / "deep")
    assert absolute("link/x", tmp_path) == tmp_path / "link" / "x"


def test_two_dots_after_a_symbolic_link_are_the_parent_of_its_target(tmp_path):
    (tmp_path / "target" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "target" / "deep")
    assert absolute("link/../x", tmp_path) == (tmp_path / "target" / "x").resolve()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("\ud800", "cannot be in a path"),
        ("~nobody-of-that-name/x", "no home directory"),
    ],
)
def test_what_cannot_be_a_path_is_refused(path, problem):
    with pytest.raises(ValueError, match=problem):
        absolute(path, Path("/"))
