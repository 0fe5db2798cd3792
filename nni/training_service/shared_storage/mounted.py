"""A storage that is mounted on this machine: by the user (``usermount``) or by NNI (``nnimount``)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from nni.common.errors import NniError
from nni.training_service.shared_storage.access import Access
from nni.trial_runner.mount_programs import MountError, source
from nni.trial_runner.mounts import Mount, mounted_at
from nni.trial_runner.patience import in_time
from nni.trial_runner.storage import MARK, code_directory, experiment_directory

if TYPE_CHECKING:
    from nni.config import SharedStorageConfig
    from nni.training_service.pool.code_image import CodeImage

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)
_PATIENCE = 150.0  # seconds for it to be mounted; the programs for it take less
_COPY = 300.0  # seconds for the code directory, of 300 MB at most


class MountedAccess(Access):
    """The storage as a directory.

    Parameters
    ----------
    experiment
        Its id.
    config
        The ``sharedStorage`` section.
    told
        What a mount takes.
    """

    def __init__(self, experiment: str, config: SharedStorageConfig, told: dict[str, Any]) -> None:
        self._point = config.local_mount_point
        self._directory = experiment_directory(self._point, experiment)
        is_ours = config.local_mounted == "nnimount"
        self._mount = Mount(source(config.storage_type, told), self._point) if is_ours else None

    async def open(self, token: str) -> None:
        """Mount it if it is NNI's to do, and mark it."""
        if self._mount is None:
            await self._in_time(_PATIENCE, self._check)
        else:
            await self._in_time(_PATIENCE, self._mount.open)
        await self._in_time(_PATIENCE, self._mark, token)

    async def publish(self, code: CodeImage) -> None:
        """Copy what is not there yet (PLT-251)."""
        await self._in_time(_COPY, self._copy, code)

    def leave(self) -> None:
        """Let go of the mount."""
        if self._mount is not None:
            self._mount.leave()

    async def close(self) -> None:
        """Unmount it if NNI mounted it."""
        if self._mount is not None:
            try:
                await self._in_time(_PATIENCE, self._mount.close)
            except NniError as error:
                _logger.error("%s", error)

    async def _in_time(self, seconds: float, work: Callable[..., Result], *arguments: Any) -> Result:
        try:
            return await in_time(seconds, f"the storage at {self._point}", work, *arguments)
        except MountError as error:
            raise NniError(f"sharedStorage: {error}") from error
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise NniError(
                f"sharedStorage.localMountPoint: '{self._point}' cannot be used: {error.strerror or error}{where}"
            ) from error

    def _check(self) -> None:
        self._point.mkdir(parents=True, exist_ok=True)  # PLT-110
        if not any(mounted_at(path) for path in (self._point, *self._point.parents[:-1])):
            _logger.warning(
                "sharedStorage.localMountPoint: nothing is mounted at '%s', although localMounted is usermount; the "
                "training machines will tell if it is not their storage",
                self._point,
            )

    def _mark(self, token: str) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "trials").mkdir(exist_ok=True)
        path = self._directory / MARK
        if not path.exists() or path.read_text() != token:
            path.write_text(token)

    def _copy(self, code: CodeImage) -> None:
        directory = code_directory(self._directory, code.code.digest)
        for name, size, sha, _ in code.code.files:
            path = directory / name
            if not path.is_file() or path.stat().st_size != size:  # what differs is found by its SHA-256 there
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(code.source(sha), path)
