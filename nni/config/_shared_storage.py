"""Storage that all machines of an experiment mount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from nni.config._errors import Fault, nearest, shown
from nni.config._fields import PathField, Text, Word, optional, required, secret
from nni.config._model import ConfigModel
from nni.config._wording import worded

if TYPE_CHECKING:
    from collections.abc import Iterator


class SharedStorageConfig(ConfigModel):
    """Base of the shared storages; which one it is stands in `storage_type` (PLT-109…112)."""

    storage_type: str = required("Kind of the storage: NFS or AzureBlob.", "NFS")
    local_mount_point: PathField = required(
        "Where the storage is mounted on this machine; created if missing; outside of the trial code directory.",
        "/mnt/nni-shared-storage",
    )
    remote_mount_point: Text = required(
        "Where the storage is mounted on the training machines; created if missing; a relative path is recommended, "
        "and for AzureBlob the directory must be empty.",
        "./nni-shared-storage",
    )
    local_mounted: Annotated[Literal["usermount", "nnimount", "nomount"], Word] = required(
        "Who mounts it on this machine: the user did (usermount), NNI does (nnimount), nobody (nomount).", "usermount"
    )


class NfsConfig(SharedStorageConfig):
    """An NFS export (PLT-113)."""

    storage_type: Literal["NFS"] = optional("An NFS export.", "NFS")
    nfs_server: Text = required("Host of the NFS server.", "192.0.2.9")
    exported_directory: Text = required("The exported directory.", "/exports/nni")


class AzureBlobConfig(SharedStorageConfig):
    """A container of Azure Blob storage (PLT-113)."""

    storage_type: Literal["AzureBlob"] = optional("A container of Azure Blob storage.", "AzureBlob")
    storage_account_name: Text = required("Name of the storage account.", "myaccount")
    storage_account_key: Text | None = secret("Key of the storage account.")
    resource_group_name: Text | None = optional("Resource group in which the key can be looked up.")
    container_name: Text = required("Name of the container.", "mycontainer")
    blob_endpoint: Text | None = optional(
        "Address of the blob service, for other clouds than the public one; absent: that of the account.",
        examples=["https://myaccount.blob.core.chinacloudapi.cn"],
    )

    def _faults(self) -> Iterator[Fault]:
        if not (self.storage_account_key or self.resource_group_name):
            yield Fault(("storageAccountKey",), "required, unless resourceGroupName says where to look it up")


_CLASSES: dict[str, type[SharedStorageConfig]] = {"NFS": NfsConfig, "AzureBlob": AzureBlobConfig}


def _choose(value: Any, info: ValidationInfo) -> SharedStorageConfig:
    if isinstance(value, SharedStorageConfig):
        return value
    if not isinstance(value, dict):
        raise worded(f"expected a mapping with a storageType, got {shown(value)}")
    kind = value.get("storageType", value.get("storage_type"))
    cls = _CLASSES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        allowed = ", ".join(map(repr, _CLASSES))
        unknown = f"unknown storage type {shown(kind)}, {nearest(str(kind), _CLASSES)}"
        message = f"required, expected one of {allowed}" if kind is None else unknown
        detail = InitErrorDetails(type=worded(message), loc=("storageType",), input=None)
        raise ValidationError.from_exception_data("SharedStorageConfig", [detail])
    return cls.model_validate(value, context=info.context)


SharedStorageField = Annotated[SharedStorageConfig, BeforeValidator(_choose)]
