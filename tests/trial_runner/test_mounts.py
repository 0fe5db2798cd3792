"""Storages are mounted, shared and unmounted for real: bind mounts of this kernel stand in for a server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nni.trial_runner import mount_programs
from nni.trial_runner.mount_programs import BlobSource, MountError, NfsSource, Source, run
from nni.trial_runner.mounts import Mount, mounted_at, sweep

BIND = """
import sys
from pathlib import Path
from nni.trial_runner.mount_programs import Source, run

class Bind(Source):
    def __init__(self, directory):
        self.name = f"bind {directory}"
        self.directory = directory

    def mount(self, point):
        run(["mount", "--bind", str(self.directory), str(point)], "it cannot be mounted")

    def is_of_kind(self, file_system):
        return False
"""
_names: dict[str, type[Source]] = {}
exec(BIND, _names)
Bind: type[Source] = _names["Bind"]


def _may_mount() -> bool:
    """Whether this user may mount here; asked by trying."""
    if os.geteuid() != 0:
        return False
    here = str(Path(__file__).parent)
    return subprocess.run(["mount", "--bind", here, here], capture_output=True, check=False).returncode == 0 and (
        subprocess.run(["umount", here], capture_output=True, check=False).returncode == 0
    )


needs_mounts = pytest.mark.skipif(not _may_mount(), reason="this user may not mount anything here")


@pytest.fixture(autouse=True)
def _own_register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    yield
    for point in (tmp_path / "point", tmp_path / "made for it" / "deep"):
        while mounted_at(point) is not None:
            subprocess.run(["umount", "-l", str(point)], check=True)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    directory = tmp_path / "storage"
    directory.mkdir()
    (directory / "data.txt").write_text("precious")
    return directory


@needs_mounts
def test_a_mount_point_is_made_and_removed_again_and_the_storage_keeps_what_is_in_it(tmp_path: Path, storage: Path):
    point = tmp_path / "made for it" / "deep"
    mount = Mount(Bind(storage), point)
    mount.open()
    assert (point / "data.txt").read_text() == "precious"
    assert mounted_at(point) is not None
    mount.close()
    assert not point.parent.exists()
    assert (storage / "data.txt").read_text() == "precious"


@needs_mounts
def test_of_two_that_use_a_mount_the_last_one_unmounts(tmp_path: Path, storage: Path):
    first, second = Mount(Bind(storage), tmp_path / "point"), Mount(Bind(storage), tmp_path / "point")
    first.open()
    second.open()
    first.close()
    assert (tmp_path / "point" / "data.txt").exists()
    second.close()
    assert not (tmp_path / "point").exists()


@needs_mounts
def test_what_a_person_mounted_stays_mounted(tmp_path: Path, storage: Path):
    point = tmp_path / "point"
    point.mkdir()
    subprocess.run(["mount", "--bind", str(storage), str(point)], check=True)
    mount = Mount(Bind(storage), point)
    mount.open()
    mount.close()
    assert sweep() == []
    assert (point / "data.txt").exists()


@needs_mounts
def test_a_mount_that_a_person_made_in_the_place_of_ours_stays(tmp_path: Path, storage: Path):
    point = tmp_path / "point"
    mount = Mount(Bind(storage), point)
    mount.open()
    subprocess.run(["umount", str(point)], check=True)
    spare = tmp_path / "spare"  # takes the number of the mount that is gone
    spare.mkdir()
    subprocess.run(["mount", "--bind", str(storage), str(spare)], check=True)
    subprocess.run(["mount", "--bind", str(storage), str(point)], check=True)
    mount.close()
    assert (point / "data.txt").exists()
    subprocess.run(["umount", str(spare)], check=True)


@needs_mounts
def test_another_storage_at_the_same_place_is_refused(tmp_path: Path, storage: Path):
    (tmp_path / "other").mkdir()
    first = Mount(Bind(storage), tmp_path / "point")
    first.open()
    with pytest.raises(MountError, match=f"bind {storage} is mounted at .*point, not bind .*other") as caught:
        Mount(Bind(tmp_path / "other"), tmp_path / "point").open()
    assert caught.value.is_final
    first.close()


@needs_mounts
@pytest.mark.parametrize("next_one", ["opens and closes", "sweeps"])
def test_what_a_killed_process_left_mounted_is_taken_over(tmp_path: Path, storage: Path, next_one: str):
    point = tmp_path / "point"
    program = (
        f"{BIND}\nimport os, tempfile\ntempfile.tempdir = {str(tmp_path / 'tmp')!r}\nfrom nni.trial_runner.mounts "
        f"import Mount\nMount(Bind({str(storage)!r}), Path({str(point)!r})).open()\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (point / "data.txt").exists()
    if next_one == "sweeps":
        assert sweep() == [str(point)]
    else:
        mount = Mount(Bind(storage), point)
        mount.open()
        assert sweep() == []  # it is used
        mount.close()
    assert not point.exists()


@needs_mounts
@pytest.mark.slow
def test_a_file_that_somebody_keeps_open_does_not_keep_it_mounted(tmp_path: Path, storage: Path):
    mount = Mount(Bind(storage), tmp_path / "point")
    mount.open()
    with (tmp_path / "point" / "data.txt").open():
        mount.close()
        assert mounted_at(tmp_path / "point") is None


@needs_mounts
def test_a_place_whose_name_has_blanks_is_recognized(tmp_path: Path, storage: Path):
    mount = Mount(Bind(storage), tmp_path / "made for it" / "deep")
    mount.open()
    assert mounted_at(tmp_path / "made for it" / "deep") is not None
    mount.close()


@pytest.mark.requires_program("mount")
def test_the_real_mount_says_why_an_export_cannot_be_mounted(tmp_path: Path):
    with pytest.raises(MountError) as caught:
        Mount(NfsSource("127.0.0.1", "/there is no such export"), tmp_path / "point").open()
    text = str(caught.value)
    assert text.startswith(f"NFS 127.0.0.1:/there is no such export cannot be mounted at {tmp_path / 'point'}: ")
    assert "\n" not in text
    assert not (tmp_path / "point").exists()


@pytest.mark.parametrize(
    ("said", "meaning", "is_final"),
    [
        ("mount: /x: unknown filesystem type 'nfs'.", "this machine cannot mount NFS: install nfs-common", True),
        ("mount.nfs: access denied by server while mounting a:/x", "the server does not let this machine", True),
        ("mount.nfs: mounting a:/x failed, reason given by server: No such file or directory", "exports no such", True),
        ("mount.nfs: Connection refused", "the server cannot be reached", False),
        ("mount.nfs: Connection timed out", "the server cannot be reached", False),
        ("mount.nfs: Failed to resolve server a: Name or service not known", "no such host is known", False),
        ("mount.nfs: Operation not permitted", "mounting is not allowed here", True),
        ("sudo: a password is required", "that takes sudo without a password", True),
        ("something else", "something else", False),
    ],
)
def test_what_mount_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, meaning: str, is_final: bool
):
    (tmp_path / "mount").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 32\n')
    (tmp_path / "mount").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MountError) as caught:
        NfsSource("a", "/x").mount(tmp_path / "point")
    assert meaning in str(caught.value)
    assert caught.value.is_final is is_final


def test_without_root_and_without_sudo_it_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MountError, match="that takes root, and there is no sudo"):
        NfsSource("a", "/x").mount(tmp_path)


def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(mount_programs, "_PATIENCE", -9.5)
    with pytest.raises(MountError, match="it cannot be done: it does not answer within"):
        run(["sh", "-c", f"echo $$ >{tmp_path}/pid; sleep 600"], "it cannot be done")
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_blob_storage_without_its_program_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MountError, match="there is neither blobfuse2 nor blobfuse; install blobfuse2"):
        BlobSource("account", "container", "secret").mount(tmp_path)


@pytest.mark.parametrize(
    ("program", "verb"), [("blobfuse2", "mount "), ("blobfuse", "")], ids=["blobfuse2", "its predecessor"]
)
def test_the_key_of_a_blob_storage_is_on_no_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, verb: str
):
    note = tmp_path / "note"
    names = "AZURE_STORAGE_ACCOUNT AZURE_STORAGE_ACCESS_KEY AZURE_STORAGE_BLOB_ENDPOINT"
    shown = "".join(f"echo ${name}; " for name in names.split())
    (tmp_path / program).write_text(f'#!/bin/sh\n{{ echo "$*"; {shown}}} >{note}\n')
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    point = tmp_path / "point"
    cache = BlobSource("account", "container", "secret", "http://127.0.0.1:1/account").mount(point)
    line, *variables = note.read_text().splitlines()
    assert line == f"{verb}{point} --container-name=container --tmp-path={cache}"
    assert variables == ["account", "secret", "http://127.0.0.1:1/account"]


def test_blob_storage_wants_an_empty_directory(tmp_path: Path):
    point = tmp_path / "point"
    point.mkdir()
    (point / "something").touch()
    with pytest.raises(MountError, match="the directory must be empty"):
        Mount(BlobSource("account", "container", "secret"), point).open()
    assert (point / "something").exists()
