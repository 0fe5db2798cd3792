"""Where something is on the shared storage of an experiment, in words for people and browsers."""

from __future__ import annotations

from typing import Any


def blob_endpoint(storage: dict[str, Any]) -> str:
    """Return the address of the blob service of a ``sharedStorage`` section."""
    own = f"https://{storage['storageAccountName']}.blob.core.windows.net"
    return (storage.get("blobEndpoint") or own).rstrip("/")


def storage_place(storage: dict[str, Any], experiment: str, key: str) -> str:
    """
    Return the address of a trial's directory on a shared storage (PLT-234, 319).

    Parameters
    ----------
    storage
        The ``sharedStorage`` section of the canonical configuration.
    experiment
        Its id.
    key
        The name of the run.
    """
    path = f"nni/{experiment}/trials/{key}"
    if storage["storageType"] == "NFS":
        return f"nfs://{storage['nfsServer']}/{storage['exportedDirectory'].strip('/')}/{path}"
    return f"{blob_endpoint(storage)}/{storage['containerName']}/{path}"
