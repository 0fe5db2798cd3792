"""Trials as frameworks of FrameworkController."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from nni.config._errors import Fault
from nni.config._fields import Count, MemorySize, NonNegative, PathField, Text, Word, optional, required
from nni.config._kubernetes import KubernetesStorageConfig
from nni.config._model import ConfigModel
from nni.config._training_service import TrainingServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class FrameworkAttemptCompletionPolicy(ConfigModel):
    """When a framework is over (PLT-106)."""

    min_failed_task_count: Count = optional("So many failed tasks fail it.", 1)
    min_succeed_task_count: Count = optional("So many successful tasks complete it.", 1)

    _other_names: ClassVar[Mapping[str, str]] = {"minSucceededTaskCount": "min_succeed_task_count"}


class FrameworkControllerRoleConfig(ConfigModel):
    """One task role (PLT-106, 293)."""

    name: Text = required("Name of the role.", "worker")
    task_number: Count = optional("Number of tasks.", 1)
    command: Text | None = optional("Command of the role; absent: trialCommand.")
    docker_image: Text = optional("Image in which the role runs.", "msranni/nni:latest")
    cpu_number: Count | None = optional("CPUs of a task.")
    gpu_number: NonNegative | None = optional("GPUs of a task.")
    memory_size: MemorySize | None = optional("Memory of a task, such as 8gb; a number is in megabytes.")
    framework_attempt_completion_policy: FrameworkAttemptCompletionPolicy | None = optional(
        "When the role ends the framework."
    )


class FrameworkControllerStorageConfig(KubernetesStorageConfig):
    """Where code and results are kept: NFS, Azure files, or a persistent volume claim (PLT-294)."""

    storage_type: Annotated[Literal["nfs", "azureStorage", "pvc"], Word] = required(  # type: ignore[assignment]  # one kind more
        "Kind of the storage; a claim (pvc) must exist in the namespace.", "nfs"
    )

    _fields_of: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **KubernetesStorageConfig._fields_of,  # noqa: SLF001  # of the base class
        "pvc": ("path",),
    }


class FrameworkControllerConfig(TrainingServiceConfig):
    """Trials run as frameworks (PLT-106, 292…296)."""

    platform: Literal["frameworkcontroller"] = optional("Run trials on FrameworkController.", "frameworkcontroller")
    task_roles: list[FrameworkControllerRoleConfig] | None = optional("The task roles; required without configPath.")
    storage: FrameworkControllerStorageConfig = required("Where code and results are kept.", "{storageType: nfs, ...}")
    service_account_name: Text | None = optional("Service account, where the cluster enforces access rules.")
    namespace: Text = optional("Namespace of the frameworks.", "default")
    config_path: PathField | None = optional("A Framework template of your own; instead of taskRoles.")
    reuse_mode: bool = optional("Whether one long-running job runs trial after trial.", default=True)

    def _faults(self) -> Iterator[Fault]:
        if self.config_path is None and not self.task_roles:
            yield Fault(("taskRoles",), "required: at least one role, or a template in configPath")
        elif self.config_path is not None and self.task_roles:
            yield Fault(("configPath",), "give either taskRoles or configPath, not both")
        names = [role.name for role in self.task_roles or [] if role.name is not None]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Fault(("taskRoles",), f"two roles are called {name!r}")
