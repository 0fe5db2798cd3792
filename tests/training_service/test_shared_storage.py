"""Trials whose directories are on a storage that this machine and the training machines share (PLT-318 … 323)."""

from __future__ import annotations

from pathlib import Path

import pytest

from nni.config import NfsConfig
from nni.testing.training_service import TrainingServiceConformance
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
