"""Which files of a code directory are sent to other machines (PLT-196, PLT-250, PLT-374)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.training_service import code_files
from nni.training_service.code_files import CodeFilesError, collect


def make(directory: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return directory


def paths(directory: Path) -> list[str]:
    return [file.path for file in collect(directory).files]


def test_everything_is_taken_but_what_is_named(tmp_path):
    make(tmp_path, {"trial.py": "", "data/a.bin": "", "data/b.bin": "", "lib/x.py": "", "keep.bin": ""})
    make(tmp_path, {".nniignore": "# large files\n*.bin\n!keep.bin\n"})
    assert paths(tmp_path) == [".nniignore", "keep.bin", "lib/x.py", "trial.py"]


def test_an_ignore_file_holds_below_its_own_directory_and_goes_before_those_above(tmp_path):
    make(tmp_path, {".nniignore": "*.log", "a.log": "", "sub/.nniignore": "!b.log\n/x", "sub/b.log": "", "sub/x": ""})
    make(tmp_path, {"x": "", "sub/deep/b.log": "", "sub/deep/x": ""})
    assert paths(tmp_path) == [".nniignore", "sub/.nniignore", "sub/b.log", "sub/deep/b.log", "sub/deep/x", "x"]


def test_nothing_in_a_directory_that_is_left_out_can_be_taken_back(tmp_path):
    make(tmp_path, {".nniignore": "data/\n!data/keep", "data/keep": "", "data/.nniignore": "!keep"})
    assert paths(tmp_path) == [".nniignore"]


def test_a_slash_at_the_end_is_for_directories_only(tmp_path):
    make(tmp_path, {".nniignore": "out/", "out/a": "", "sub/out": ""})
    assert paths(tmp_path) == [".nniignore", "sub/out"]


def test_git_itself_is_not_taken(tmp_path):
    make(tmp_path, {".git/config": "", "sub/.git": "gitdir: elsewhere", ".gitignore": "a.py", "a.py": ""})
    assert paths(tmp_path) == [".gitignore", "a.py"]


def test_a_windows_file_with_a_mark_in_front_and_names_that_are_no_text(tmp_path):
    (tmp_path / ".nniignore").write_bytes(b"\xef\xbb\xbf*.bin\r\n\xff\r\n")
    for name in (b"a.bin", b"\xff", b"\xfe"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert paths(tmp_path) == [".nniignore", os.fsdecode(b"\xfe")]


def test_what_a_link_points_to_is_taken_in_its_place(tmp_path):
    outside = make(tmp_path / "outside", {"shared.py": "12345", "set/a.txt": "1"})
    code = make(tmp_path / "code", {"trial.py": ""})
    (code / "shared.py").symlink_to(outside / "shared.py")
    (code / "set").symlink_to(outside / "set")
    found = collect(code)
    assert [(file.path, file.size) for file in found.files] == [("set/a.txt", 1), ("shared.py", 5), ("trial.py", 0)]
    assert found.skipped == []


def test_a_link_is_named_as_a_file_even_where_it_leads_to_a_directory(tmp_path):
    outside = make(tmp_path / "outside", {"a.txt": ""})
    code = make(tmp_path / "code", {".nniignore": "one/\ntwo"})
    (code / "one").symlink_to(outside)
    (code / "two").symlink_to(outside)
    assert paths(code) == [".nniignore", "one/a.txt"]


def test_links_that_lead_back_or_nowhere_and_sockets_are_left_out_and_told(tmp_path, monkeypatch):
    make(tmp_path, {"sub/a.py": ""})
    (tmp_path / "sub" / "up").symlink_to("..")
    (tmp_path / "sub" / "itself").symlink_to("itself")
    (tmp_path / "gone").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("talk")
        found = collect(tmp_path)
    assert [file.path for file in found.files] == ["sub/a.py"]
    assert dict(found.skipped) == {
        "gone": "a link that leads nowhere",
        "sub/itself": "a link that leads nowhere",
        "sub/up": "a link that leads back",
        "talk": "neither a file nor a directory",
    }


def test_two_links_to_one_directory_are_no_circle(tmp_path):
    make(tmp_path, {"lib/a.py": ""})
    (tmp_path / "one").symlink_to("lib")
    (tmp_path / "two").symlink_to("lib")
    assert paths(tmp_path) == ["lib/a.py", "one/a.py", "two/a.py"]


LIST = """
import os, sys
from pathlib import Path
from nni.training_service.code_files import CodeFilesError, collect
if os.geteuid() == 0:
    os.setuid(65534)  # the superuser may read everything
try:
    print(*[file.path for file in collect(Path(sys.argv[1])).files])
except CodeFilesError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["secret", "private/"])
def test_what_cannot_be_read_is_an_error_with_the_way_out(name):
    with tempfile.TemporaryDirectory() as directory:  # not below tmp_path, which is this user's own
        root = make(Path(directory), {"secret": "", "private/a": "", "trial.py": ""})
        root.chmod(0o755)
        (root / name).chmod(0)

        def listed() -> str:
            command = [sys.executable, "-c", LIST, str(root)]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        assert f"{name} cannot be read (Permission denied); name it in .nniignore" in listed()
        make(root, {".nniignore": name})
        (root / ".nniignore").chmod(0o644)
        assert name not in listed()
        assert "trial.py" in listed()
        (root / name).chmod(0o700)


def test_a_directory_that_is_none_is_an_error(tmp_path):
    with pytest.raises(CodeFilesError, match=r"trialCodeDirectory: .*nothing is not a directory"):
        collect(tmp_path / "nothing")


def sparse(path: Path, megabytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, megabytes * 1024 * 1024)


def test_301_megabytes_are_too_much_and_the_largest_are_named(tmp_path):
    sparse(tmp_path / "data" / "images" / "train.bin", 200)
    sparse(tmp_path / "data" / "images" / "test.bin", 50)
    sparse(tmp_path / "model.bin", 51)
    make(tmp_path, {"trial.py": "x"})
    with pytest.raises(CodeFilesError) as caught:
        collect(tmp_path).require_limits()
    text = str(caught.value)
    assert "has 4 files, 301 MB, but at most 2000 files and 300 MB" in text
    assert "the most is in data/images/ (2 files, 250 MB), model.bin (51 MB), trial.py" in text
    assert text.endswith(f"name what trials do not need in {tmp_path}/.nniignore")
    make(tmp_path, {".nniignore": "model.bin"})
    collect(tmp_path).require_limits()


def test_2001_files_are_too_many_and_2000_are_not(tmp_path):
    for number in range(2000):
        (tmp_path / f"{number}").touch()
    collect(tmp_path).require_limits()
    make(tmp_path, {"logs/a": ""})
    with pytest.raises(CodeFilesError, match="has 2001 files"):
        collect(tmp_path).require_limits()
    make(tmp_path, {".nniignore": "logs/\n1\n"})
    collect(tmp_path).require_limits()


def test_a_directory_with_files_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(code_files, "_GIVE_UP", 50)
    monkeypatch.setattr(code_files, "MOST_FILES", 20)
    for number in range(100):
        (tmp_path / f"{number}").touch()
    with pytest.raises(CodeFilesError, match="has more than 50 files"):
        collect(tmp_path).require_limits()


# Against git itself

names = st.sampled_from(["a", "b", "ab", "c", "a.o", "b.o", "é"])
tree = st.recursive(st.none(), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4), max_leaves=10)
word = st.sampled_from(
    ["a", "b", "ab", "*", "*.o", "a*", "*b", "?", "a?", "[ab]", "[!a]", "[^b-z]", "[[:alpha:]]", "**", ".", "\\a", "é"]
)
pattern = st.one_of(
    st.builds(
        lambda negated, first, words, last: negated + first + "/".join(words) + last,
        st.sampled_from(["", "", "!"]),
        st.sampled_from(["", "", "/", "**/"]),
        st.lists(word, min_size=1, max_size=3),
        st.sampled_from(["", "", "/", "/**", " ", "\\ "]),
    ),
    st.sampled_from(["", "#a", "\\#a", "\\!a", "!", "/", "//", "a//b", " a", "a\t", "[a", "a\\", "!!a", "***", "\r"]),
)
ignore_file = st.lists(pattern, max_size=4).map("\n".join)


def write(directory: Path, content: dict, data: st.DataObject, *, is_root: bool) -> None:
    directory.mkdir()
    if is_root or data.draw(st.integers(0, 3)) == 0:
        (directory / ".nniignore").write_text(data.draw(ignore_file))
    for name, inside in content.items():
        if inside is None:
            (directory / name).touch()
        else:
            write(directory / name, inside, data, is_root=False)


def left_by_git(directory: Path) -> list[str]:
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for command in (["init", "-q"], ["ls-files", "-z", "--others", "--exclude-per-directory=.nniignore"]):
        result = subprocess.run(
            ["git", *command], cwd=directory, env={**os.environ, **quiet}, capture_output=True, check=True
        )
    return sorted(os.fsdecode(name) for name in result.stdout.split(b"\0")[:-1])


@pytest.mark.slow
@pytest.mark.requires_program("git")
@settings(max_examples=80, deadline=None)
@given(content=tree.filter(lambda content: content is not None), data=st.data())
def test_the_files_are_those_that_git_would_leave(tmp_path_factory, content, data):
    root = tmp_path_factory.mktemp("tree") / "root"
    write(root, content, data, is_root=True)
    files = {str(path.relative_to(root)): path.read_text() for path in root.rglob(".nniignore")}
    assert paths(root) == left_by_git(root), files
    shutil.rmtree(root)
