"""The schema of NNI 1.x: Kubeflow and FrameworkController (PLT-137, 141, 143)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from nni.config._errors import Fault
from nni.config._fields import Count, NonNegative, Text, Word, optional, required
from nni.config._legacy_model import LegacyConfig, Limited, WrittenPath
from nni.config._model import ConfigModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTION_OF_STORAGE = {"nfs": ("nfs",), "azureStorage": ("azureStorage", "keyVault"), "pvc": ("pvc",)}


class LegacyNfs(ConfigModel):
    """An NFS export."""

    server: Text = required("Host of the NFS server.", "10.10.10.10")
    path: Text = required("Exported directory.", "/var/nfs/general")


class LegacyKeyVault(ConfigModel):
    """The vault that has the key of the Azure storage."""

    vault_name: Text = required("Name of the vault.", "my-vault")
    name: Text = required("Name of the entry.", "my-key")


class LegacyAzureStorage(ConfigModel):
    """An Azure file share."""

    account_name: Text = required("Name of the storage account.", "my-account")
    azure_share: Text = required("Name of the share.", "my-share")


class LegacyPvc(ConfigModel):
    """A persistent volume claim."""

    path: Text = required("Where the claim is mounted.", "/mnt/data")


class LegacyStorage(ConfigModel):
    """Where code and results are kept; without `storage`, what is described counts (as in the examples)."""

    storage: Annotated[Literal["nfs", "azureStorage"], Word] | None = optional("Kind of the storage; absent: nfs.")
    nfs: LegacyNfs | None = optional("For storage nfs.")
    key_vault: LegacyKeyVault | None = optional("For storage azureStorage.")
    azure_storage: LegacyAzureStorage | None = optional("For storage azureStorage.")
    upload_retry_count: Limited | None = optional("How often to retry an upload to Azure.")

    @property
    def kind(self) -> str:
        """Which storage it is."""
        described = ("azure_storage", "key_vault") if self.nfs is None else ()
        return self.storage or ("azureStorage" if any(getattr(self, name) for name in described) else "nfs")

    def _faults(self) -> Iterator[Fault]:
        kind = self.kind
        for name, field in type(self).model_fields.items():
            alias, value = field.alias or name, getattr(self, name)
            owners = [owner for owner, sections in _SECTION_OF_STORAGE.items() if alias in sections]
            if kind in owners and value is None:
                yield Fault((alias,), f"required for storage: {kind}")
            elif owners and kind not in owners and value is not None:
                yield Fault((alias,), f"is for storage: {owners[0]} only, not for {kind}")


class LegacyKubeflowSection(LegacyStorage):
    """The operator and the storage (PLT-141)."""

    operator: Annotated[Literal["tf-operator", "pytorch-operator"], Word] = required("The operator.", "tf-operator")
    api_version: Text | None = optional("Version of the operator's API; absent: v1.")


class LegacyFrameworkControllerSection(LegacyStorage):
    """The storage and the template (PLT-143)."""

    storage: Annotated[Literal["nfs", "azureStorage", "pvc"], Word] | None = optional(  # type: ignore[assignment]  # one kind more
        "Kind of the storage; absent: nfs."
    )
    pvc: LegacyPvc | None = optional("For storage pvc.")
    service_account_name: Text | None = optional("Service account, where the cluster enforces access rules.")
    namespace: Text | None = optional("Namespace; absent: default.")
    config_path: WrittenPath | None = optional("A Framework template; instead of taskRoles.")

    @property
    def kind(self) -> str:
        """Which storage it is."""
        found = super().kind
        return "pvc" if self.storage is None and self.nfs is None and self.pvc is not None else found


class LegacyKubeflowRole(ConfigModel):
    """The pods of one role (PLT-137)."""

    replicas: Count = required("Number of pods.", 1)
    command: Text = required("Command of the role.", "python3 mnist.py")
    image: Text = required("Image in which the role runs.", "msranni/nni:latest")
    cpu_num: Count | None = optional("CPUs of a pod.")
    gpu_num: NonNegative | None = optional("GPUs of a pod.")
    memory_mb: Count = required("Memory of a pod in megabytes.", 8192, alias="memoryMB")
    private_registry_auth_path: WrittenPath | None = optional("Docker's config.json with the login of a registry.")


class LegacyKubeflowTrial(ConfigModel):
    """The roles of a job."""

    code_dir: WrittenPath = required("Directory of the trial's files.", ".")
    worker: LegacyKubeflowRole | None = optional("The workers.")
    ps: LegacyKubeflowRole | None = optional("The parameter servers (tf-operator).")
    master: LegacyKubeflowRole | None = optional("The master (pytorch-operator).")

    def _faults(self) -> Iterator[Fault]:
        if not (self.worker or self.ps or self.master):
            yield Fault(("worker",), "required: a job needs at least one role (worker, ps or master)")


class LegacyTask(ConfigModel):
    """When a framework is over."""

    min_failed_task_count: Count | None = optional("So many failed tasks fail it.")
    min_succeeded_task_count: Count | None = optional("So many successful tasks complete it.")

    _other_names: ClassVar[Mapping[str, str]] = {"minSucceedTaskCount": "min_succeeded_task_count"}


class LegacyTaskRole(ConfigModel):
    """One task role of a framework (PLT-293)."""

    name: Text = required("Name of the role.", "worker")
    task_num: Count = required("Number of tasks.", 1)
    command: Text = required("Command of the role.", "python3 mnist.py")
    image: Text = required("Image in which the role runs.", "msranni/nni:latest")
    cpu_num: Count | None = optional("CPUs of a task.")
    gpu_num: NonNegative | None = optional("GPUs of a task.")
    memory_mb: Count | None = optional("Memory of a task in megabytes.", alias="memoryMB")
    framework_attempt_completion_policy: LegacyTask | None = optional("When the role ends the framework.")


class LegacyFrameworkControllerTrial(ConfigModel):
    """The task roles of a framework; none with a template."""

    code_dir: WrittenPath = required("Directory of the trial's files.", ".")
    task_roles: list[LegacyTaskRole] | None = optional("The task roles; required without configPath.")


class _LegacyKubernetes(LegacyConfig):
    """What both have in common."""

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        if self.shared_storage is not None:
            platform = self.training_service_platform
            yield Fault(
                ("sharedStorage",), f"needs the reuse mode of {platform}, which only the current schema has (reuseMode)"
            )


def _storage_moves(section: str) -> dict[str, str]:
    return {
        f"{section}.storage": "storage.storageType",
        f"{section}.nfs.server": "storage.server",
        f"{section}.nfs.path": "storage.path",
        f"{section}.azureStorage.accountName": "storage.azureAccount",
        f"{section}.azureStorage.azureShare": "storage.azureShare",
        f"{section}.keyVault.vaultName": "storage.keyVaultName",
        f"{section}.keyVault.name": "storage.keyVaultKey",
        f"{section}.uploadRetryCount": "storage.uploadRetryCount",
    }


DEFAULT_API_VERSION = "v1"
"""Of Kubeflow's operators, where the configuration names none (two of the documentation's examples do not)."""

_ROLES = ("master", "worker", "ps")  # the first that there is stands for the trial
_POD = {
    "command": "command",
    "image": "dockerImage",
    "cpuNum": "cpuNumber",
    "gpuNum": "gpuNumber",
    "memoryMB": "memorySize",
}
_ROLE = {"replicas": "replicas", **_POD, "privateRegistryAuthPath": "privateRegistryAuthPath"}
_POLICY = "frameworkAttemptCompletionPolicy"
_TASK = {
    "name": "name",
    "taskNum": "taskNumber",
    **_POD,
    f"{_POLICY}.minFailedTaskCount": f"{_POLICY}.minFailedTaskCount",
    f"{_POLICY}.minSucceededTaskCount": f"{_POLICY}.minSucceedTaskCount",
}


class LegacyKubeflow(_LegacyKubernetes):
    """Trials on Kubeflow."""

    trial: LegacyKubeflowTrial = required("What a trial is.", "{codeDir: ., worker: {replicas: 1, ...}}")
    kubeflow_config: LegacyKubeflowSection = required("Operator and storage.", "{operator: tf-operator, nfs: ...}")

    moves: ClassVar[Mapping[str, str]] = {
        "kubeflowConfig.operator": "operator",
        "kubeflowConfig.apiVersion": "apiVersion",
        **{f"trial.{role}.{old}": f"{role}.{new}" for role in _ROLES for old, new in _ROLE.items()},
        **_storage_moves("kubeflowConfig"),
    }

    def service(self) -> dict[str, Any]:
        """Return what is computed: no reuse, the kind of the storage, a version of the API."""
        section = self.kubeflow_config
        if section is None:
            return {}
        return {
            "reuseMode": False,
            "apiVersion": section.api_version or DEFAULT_API_VERSION,
            "storage.storageType": section.kind,
        }

    def command(self) -> tuple[str, str | None]:
        """Return where the command is that stands for the trial, and the command."""
        roles = {role: getattr(self.trial, role, None) for role in _ROLES}
        role = next((role for role in _ROLES if roles[role] is not None), "worker")
        return f"trial.{role}.command", getattr(roles[role], "command", None)


class LegacyFrameworkController(_LegacyKubernetes):
    """Trials on FrameworkController."""

    trial: LegacyFrameworkControllerTrial = required("What a trial is.", "{codeDir: ., taskRoles: [...]}")
    frameworkcontroller_config: LegacyFrameworkControllerSection = required("Storage.", "{storage: nfs, nfs: ...}")

    moves: ClassVar[Mapping[str, str]] = {
        **{f"trial.taskRoles[].{old}": f"taskRoles[].{new}" for old, new in _TASK.items()},
        "frameworkcontrollerConfig.configPath": "configPath",
        "frameworkcontrollerConfig.serviceAccountName": "serviceAccountName",
        "frameworkcontrollerConfig.namespace": "namespace",
        **_storage_moves("frameworkcontrollerConfig"),
        "frameworkcontrollerConfig.pvc.path": "storage.path",
    }

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        section = self.frameworkcontroller_config
        if self.trial and not self.trial.task_roles and not (section and section.config_path):
            yield Fault(("trial", "taskRoles"), "required: at least one role, or a template (configPath)")

    def service(self) -> dict[str, Any]:
        """Return what is computed: no reuse, and the kind of the storage."""
        section = self.frameworkcontroller_config
        return {} if section is None else {"reuseMode": False, "storage.storageType": section.kind}

    def command(self) -> tuple[str, str | None]:
        """Return where the command is that stands for the trial, and the command; none with a template."""
        roles = getattr(self.trial, "task_roles", None)
        return "trial.taskRoles", roles[0].command if roles else None
