"""The shared storage of an experiment, as its manager has it."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError
from nni.common.storage_place import storage_place
from nni.config import AzureBlobConfig, NfsConfig, SharedStorageConfig
from nni.training_service.shared_storage.access import Access, NoAccess
from nni.training_service.shared_storage.account_key import account_key
from nni.training_service.shared_storage.mounted import MountedAccess
from nni.trial_runner.protocol import Storage
from nni.trial_runner.storage import experiment_directory
from nni.trial_runner.trial import OUTPUT

if TYPE_CHECKING:
    from nni.training_service.pool.code_image import CodeImage


class SharedStorage:
    """Puts the code directory there, tells machines how to have it, and brings here what trials leave.

    Parameters
    ----------
    experiment_id
        Its id.
    directory
        The experiment's own directory.
    config
        The ``sharedStorage`` section.
    """

    def __init__(self, experiment_id: str, directory: Path, config: SharedStorageConfig) -> None:
        self._experiment = experiment_id
        self._directory = directory
        self._config = config
        self._source: dict[str, Any] = {}
        self._token = ""
        self._access: Access | None = None

    @property
    def message(self) -> Storage:
        """What a runner has to know."""
        assert self._access is not None
        config, marked = self._config, self._access.is_marked
        return Storage(config.storage_type, self._source, config.remote_mount_point, self._token, marked)

    @property
    def fetches(self) -> bool:
        """Whether what a trial left has to be fetched before it is here."""
        return self._access is not None and self._access.fetches

    async def open(self, code: CodeImage) -> None:
        """
        Have the storage here, as far as it shall be, with the code directory on it; does nothing the second time.

        Raises
        ------
        NniError
            It cannot be had.
        """
        if self._access is not None:
            return
        self._source = await self._sources()
        self._token = _token(self._directory / ".storage")
        access = self._make_access()
        try:
            await access.open(self._token)
            await access.publish(code)
        except BaseException:
            await access.close()
            raise
        self._access = access

    def expect(self, trial: str, key: str) -> None:
        """Have the output directory of the run `key` of a trial here under its usual name, where it is mounted."""
        if self._config.local_mounted == "nomount":
            return
        there = experiment_directory(self._config.local_mount_point, self._experiment) / "trials" / key / OUTPUT
        here = self._directory / "trials" / trial / OUTPUT
        if here.is_symlink() and here.readlink() != there:  # to the run before
            here.unlink()
        with contextlib.suppress(FileExistsError):
            here.symlink_to(there, target_is_directory=True)

    async def fetch(self, trial: str, key: str) -> list[str]:
        """Copy what the run `key` of a trial left into its directory here; returns what could not be had."""
        assert self._access is not None
        return await self._access.fetch(key, self._directory / "trials" / trial / OUTPUT)

    def place(self, key: str) -> str:
        """Return the address of the directory of the run `key` of a trial."""
        return storage_place(self._config.model_dump(by_alias=True), self._experiment, key)

    def leave(self) -> None:
        """Let go of it, and leave it mounted: the next manager goes on with it."""
        if self._access is not None:
            self._access.leave()

    async def close(self) -> None:
        """Unmount it, if NNI mounted it here and no other experiment uses it."""
        access, self._access = self._access, None
        if access is not None:
            await access.close()

    async def _sources(self) -> dict[str, Any]:
        config = self._config
        if isinstance(config, NfsConfig):
            return {"server": config.nfs_server, "directory": config.exported_directory}
        assert isinstance(config, AzureBlobConfig)
        key = config.storage_account_key or await account_key(config)
        blob = {"account": config.storage_account_name, "container": config.container_name, "key": key}
        return {**blob, "endpoint": config.blob_endpoint}

    def _make_access(self) -> Access:
        config = self._config
        if config.local_mounted != "nomount":
            return MountedAccess(self._experiment, config, self._source)
        if isinstance(config, AzureBlobConfig):
            try:
                from nni.training_service.shared_storage.blob_api import BlobAccess  # noqa: PLC0415  (an extra)
            except ImportError as error:
                raise NniError(
                    "sharedStorage.localMounted: nomount needs azure-storage-blob to reach Azure Blob storage "
                    f"({error}); install it: pip install 'nni[azure]'"
                ) from error
            return BlobAccess(self._experiment, config, self._source["key"])
        return NoAccess()


def _token(path: Path) -> str:
    """Return the mark of the experiment, the same for all its managers."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    token = uuid.uuid4().hex
    new = path.with_suffix(".new")
    new.write_text(token)
    new.replace(path)
    return token
