"""What Kubeflow and FrameworkController have in common: where code and results are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from nni.config._errors import Fault, shown
from nni.config._fields import Count, Text, Word, optional, required
from nni.config._model import ConfigModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AZURE = ("azure_account", "azure_share", "key_vault_name", "key_vault_key")


class KubernetesStorageConfig(ConfigModel):
    """A storage that pods mount: NFS, or Azure files with a key from a vault (PLT-105, 283)."""

    storage_type: Annotated[Literal["nfs", "azureStorage"], Word] = required("Kind of the storage.", "nfs")
    server: Text | None = optional("Host of the NFS server.")
    path: Text | None = optional("Exported directory of the NFS server.")
    azure_account: Text | None = optional("Name of the Azure storage account.")
    azure_share: Text | None = optional("Name of the Azure file share.")
    key_vault_name: Text | None = optional("Name of the key vault that has the account's key.")
    key_vault_key: Text | None = optional("Name of the key's entry in the vault.")
    upload_retry_count: Count | None = optional("How often to retry an upload to Azure.")

    _fields_of: ClassVar[Mapping[str, tuple[str, ...]]] = {"nfs": ("server", "path"), "azureStorage": _AZURE}
    _also_of: ClassVar[Mapping[str, tuple[str, ...]]] = {"azureStorage": ("upload_retry_count",)}

    def _faults(self) -> Iterator[Fault]:
        if self.storage_type is None:
            return
        needed = self._fields_of[self.storage_type]
        possible = (*needed, *self._also_of.get(self.storage_type, ()))
        for name, field in type(self).model_fields.items():
            value, alias = getattr(self, name), field.alias or name
            if name in needed and value is None:
                yield Fault((alias,), f"required for the storage type {self.storage_type}")
            elif name not in possible and name != "storage_type" and value is not None:
                yield Fault((alias,), f"is not for the storage type {self.storage_type}, got {shown(value)}")
