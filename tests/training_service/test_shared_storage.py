"""Trials whose directories are on a storage that this machine and the training machines share (PLT-318 … 323)."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nni.config import NfsConfig
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.pool import PoolSettings, PoolTrainingService, ProcessSite
from nni.training_service.pool.code_image import CodeImage
from nni.training_service.shared_storage import SharedStorage
from nni.trial_runner import protocol as p
from nni.trial_runner.code_store import CodeStore
from nni.trial_runner.mount_programs import MountError
from nni.trial_runner.script import TrialFiles
from nni.trial_runner.storage import RunnerStorage, keep_logs

EXPERIMENT = "ABCDEFGH"


def folder_as_storage(directory: Path, share: Path, **changes: object) -> SharedStorage:
    """Return a storage that is seen under the same path by everybody, as a cluster's file system is."""
    config = NfsConfig(
        local_mount_point=share,
        remote_mount_point=str(share),
        local_mounted="usermount",
        nfs_server="127.0.0.1",
        exported_directory="/exports/nni",
    )
    for name, value in changes.items():
        setattr(config, name, value)
    return SharedStorage(EXPERIMENT, directory, config)


@pytest.mark.slow
class TestPoolWithSharedStorage(TrainingServiceConformance):
    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        self.home = directory.parent / "home"
        self.home.mkdir(exist_ok=True)
        self.share = directory.parent / "share"
        storage = folder_as_storage(directory, self.share)
        settings = PoolSettings(EXPERIMENT, directory, command, code_directory, "test", grace=1.0, storage=storage)
        return PoolTrainingService(settings, [ProcessSite("far", self.home, EXPERIMENT)])

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        return self.home / ".nni-remote" / EXPERIMENT / "far" / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.share / "nni" / EXPERIMENT / "trials" / trial_id / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.share / "nni" / EXPERIMENT / "trials" / trial_id / "go").touch()


def told(point: Path) -> p.Storage:
    return p.Storage("NFS", {"server": "127.0.0.1", "directory": "/x"}, str(point), "mark", is_marked=True)


def test_the_runners_own_files_are_no_place_for_a_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are removed in the end, and a mount above them would hide them."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    root = tmp_path / ".nni-remote" / EXPERIMENT / "far"
    root.mkdir(parents=True)
    for point in (root / "storage", Path(".nni-remote/storage"), root.parent.parent):
        with pytest.raises(MountError, match="cannot be the mount point: NNI's own files are there"):
            RunnerStorage(told(point), EXPERIMENT, root).open()
    with pytest.raises(MountError, match=r"cannot be the mount point: it would hide .*\.nni-remote"):
        RunnerStorage(told(tmp_path), EXPERIMENT, root).open()


def test_a_storage_that_is_there_without_a_mount_may_lie_anywhere_else(tmp_path: Path):
    directory = tmp_path / "nni" / EXPERIMENT
    directory.mkdir(parents=True)
    (directory / ".nni-storage").write_text("mark")
    storage = RunnerStorage(told(tmp_path), EXPERIMENT, tmp_path / ".nni-remote" / EXPERIMENT / "far")
    storage.open()
    storage.close()
    assert storage.trial("t0") == directory / "trials" / "t0"
    assert (directory / "trials").is_dir()


def test_code_on_the_storage_that_was_changed_is_not_taken_for_the_code(tmp_path: Path):
    """It comes over the connection then."""
    (tmp_path / "code").mkdir()
    for name in ("right.py", "wrong.py", "gone.py"):
        (tmp_path / "code" / name).write_text(name)
    image = CodeImage(tmp_path / "code").code
    (tmp_path / "code" / "wrong.py").write_text("changed!")
    (tmp_path / "code" / "gone.py").unlink()
    store = CodeStore(tmp_path / "cache", tmp_path / "trees")
    store.fill(image, tmp_path / "code")
    lacking = {name for name, _, sha, _ in image.files if sha in store.missing(image)}
    assert lacking == {"wrong.py", "gone.py"}


def test_a_log_does_not_replace_a_file_of_the_code_directory(tmp_path: Path):
    here, there = TrialFiles(tmp_path / "here"), tmp_path / "there"
    for directory in (here.directory, there):
        directory.mkdir()
    here.log.write_text("ours")
    here.stderr.write_text("ours")
    (there / "trial.log").write_text("theirs")
    keep_logs(here, there)
    assert {path.name: path.read_text() for path in there.iterdir()} == {"trial.log": "theirs", "stderr": "ours"}


@pytest.fixture
def served(azurite: Any, tmp_path: Path) -> Iterator[tuple[Path, psutil.Process, Any]]:
    """A FUSE mount that is there already, the process behind it, and the container in it."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("FUSE cannot be used here")
    container = azurite.container(f"nni-{uuid.uuid4().hex[:12]}")
    share, cache = tmp_path / "share", tmp_path / "cache"
    share.mkdir()
    cache.mkdir()
    account = {"AZURE_STORAGE_ACCOUNT": azurite.account, "AZURE_STORAGE_ACCESS_KEY": azurite.key}
    program = [sys.executable, str(Path(__file__).with_name("blobfuse2_stand_in.py")), "mount", str(share)]
    options = [f"--container-name={container.container_name}", f"--tmp-path={cache}"]
    variables = {**os.environ, **account, "AZURE_STORAGE_BLOB_ENDPOINT": azurite.endpoint}
    with (tmp_path / "log").open("w") as log:
        subprocess.run([*program, *options], env=variables, stdout=log, stderr=log, check=True)
    everybody = psutil.process_iter(["cmdline"])
    (process,) = [one for one in everybody if f"--tmp-path={cache}" in (one.info["cmdline"] or [])]
    yield share, process, container
    process.resume()
    subprocess.run(["umount", "-l", str(share)], check=True)
    process.wait(60)


@pytest.mark.slow
@pytest.mark.usefixtures("machines_end")
async def test_a_storage_that_does_not_answer_holds_up_who_looks_at_it_but_not_the_runner(
    served: tuple[Path, psutil.Process, Any], tmp_path: Path
):
    """The process behind the mount is stopped: every look at a file there waits."""
    share, process, container = served
    for directory in (tmp_path / "code", tmp_path / "home", tmp_path / "experiment" / "trials"):
        directory.mkdir(parents=True)
    wait = f"while ! test -e {tmp_path}/go; do sleep 0.05; done"
    command = f'echo begun >"$NNI_OUTPUT_DIR/note"; cd /; echo begun; {wait}; echo later; sleep 600'
    storage = folder_as_storage(tmp_path / "experiment", share)
    settings = PoolSettings(
        EXPERIMENT, tmp_path / "experiment", command, tmp_path / "code", "test", grace=0.5, storage=storage
    )
    seen = Observer(PoolTrainingService(settings, [ProcessSite("far", tmp_path / "home", EXPERIMENT)]))
    await seen.service.submit_trial_job(form("t0", "x"))
    log = tmp_path / "experiment" / "trials" / "t0" / "trial.log"
    await seen.until(lambda: log.exists() and log.read_text() == "begun\n", "its beginning")
    process.suspend()
    try:
        (tmp_path / "go").touch()
        await seen.until(lambda: log.read_text() == "begun\nlater\n", "what it says meanwhile")
        await seen.service.cancel_trial_job("t0")
        await seen.until(lambda: seen.ended("t0"), "the end")
        assert seen.history["t0"][-1] is TrialStatus.USER_CANCELED
    finally:
        process.resume()
        await seen.close()
    note = container.download_blob(f"nni/{EXPERIMENT}/trials/t0/nnioutput/note")
    assert note.readall() == b"begun\n"
    assert not (tmp_path / "home" / ".nni-remote").exists()
