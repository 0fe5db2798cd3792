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
from nni.training_service.shared_storage import SharedStorage

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
