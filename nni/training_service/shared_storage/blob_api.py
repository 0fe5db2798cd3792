"""Azure Blob storage that nobody mounts on this machine (``nomount``): reached through its API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import ContainerClient

from nni.common.errors import NniError
from nni.common.storage_place import blob_endpoint
from nni.training_service.shared_storage.access import Access
from nni.trial_runner.patience import in_time
from nni.trial_runner.storage import MARK, code_directory, experiment_directory
from nni.trial_runner.trial import OUTPUT

if TYPE_CHECKING:
    from nni.config import AzureBlobConfig
    from nni.training_service.pool.code_image import CodeImage

Result = TypeVar("Result")
# The library's own patience is minutes.
_RETRIES: dict[str, Any] = {"retry_total": 2, "retry_connect": 2, "initial_backoff": 1, "increment_base": 2}
_LIMITS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60, **_RETRIES}
_REFUSED = {401, 403}
_ALL = 600.0  # seconds for everything that is sent or fetched at once

logging.getLogger("azure").setLevel(logging.WARNING)


class BlobAccess(Access):
    """A container by its API.

    Parameters
    ----------
    experiment
        Its id.
    config
        The ``sharedStorage`` section.
    key
        The account's.
    """

    fetches = True

    def __init__(self, experiment: str, config: AzureBlobConfig, key: str) -> None:
        self._config = config
        self._directory = experiment_directory(Path(), experiment)
        account = blob_endpoint(config.model_dump(by_alias=True))
        with self._told():
            self._container = ContainerClient(
                account,
                str(config.container_name),
                credential={"account_name": str(config.storage_account_name), "account_key": key},
                **_LIMITS,
            )

    async def open(self, token: str) -> None:
        """Write the mark, by which it is known that the account, the key and the container are right."""
        await self._do(self._container.upload_blob, (self._directory / MARK).as_posix(), token, overwrite=True)

    async def publish(self, code: CodeImage) -> None:
        """Send the files that are not there yet."""
        await self._do(self._send, code)

    async def fetch(self, trial: str, target: Path) -> list[str]:
        """Download a trial's output directory."""
        try:
            return await self._do(
                self._download, f"{(self._directory / 'trials' / trial / OUTPUT).as_posix()}/", target
            )
        except NniError as error:
            return [str(error)]

    async def close(self) -> None:
        """Close its connections."""
        self._container.close()

    def _send(self, code: CodeImage) -> None:
        directory = code_directory(self._directory, code.code.digest).as_posix()
        there = {blob.name: blob.size for blob in self._container.list_blobs(name_starts_with=f"{directory}/")}
        for name, size, sha, _ in code.code.files:
            if there.get(f"{directory}/{name}") != size:
                with code.source(sha).open("rb") as file:
                    self._container.upload_blob(f"{directory}/{name}", file, overwrite=True)

    def _download(self, prefix: str, target: Path) -> list[str]:
        problems = []
        for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
            name = blob.name[len(prefix) :]
            if (blob.metadata or {}).get("hdi_isfolder"):  # how a folder is kept by programs that know such
                continue
            parts = PurePosixPath(name).parts
            if not parts or any(part in {"", ".", "..", "/"} for part in parts):
                problems.append(f"{name}: not a path inside of an output directory")
                continue
            path = target.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name[:200]}.nni-part")
            with part.open("wb") as file:
                self._container.download_blob(blob.name).readinto(file)
            part.replace(path)
        return problems

    async def _do(self, work: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        with self._told():
            return await in_time(_ALL, "the storage", lambda: work(*arguments, **named))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make a sentence of what the library raises."""
        config = self._config
        where = f"sharedStorage: AzureBlob {config.storage_account_name}/{config.container_name}"
        try:
            yield
        except ResourceNotFoundError as error:
            raise NniError(f"{where}: there is no such container (containerName)") from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise NniError(f"{where}: the server cannot be reached ({_line(error)})") from error
        except HttpResponseError as error:
            if error.status_code in _REFUSED:
                raise NniError(f"{where}: the key is not accepted (storageAccountKey)") from error
            raise NniError(f"{where}: {error.reason or _line(error)} ({error.status_code})") from error
        except (AzureError, ValueError) as error:  # also of a key that is no base64
            raise NniError(f"{where}: {_line(error)}") from error
        except OSError as error:
            raise NniError(f"{where}: {error}") from error


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
