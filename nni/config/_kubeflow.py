"""Trials as jobs of Kubeflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from nni.config._errors import Fault
from nni.config._fields import Count, MemorySize, NonNegative, PathField, Text, Word, optional, required
from nni.config._kubernetes import KubernetesStorageConfig
from nni.config._model import ConfigModel
from nni.config._training_service import TrainingServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLES = {"tf-operator": ("worker", "ps"), "pytorch-operator": ("worker", "master")}


class KubeflowRoleConfig(ConfigModel):
    """The pods of one role of a job (PLT-105, 284)."""

    replicas: Count = optional("Number of pods.", 1)
    command: Text | None = optional("Command of the role; absent: trialCommand.")
    code_directory: PathField | None = optional("Directory with the role's files; absent: trialCodeDirectory.")
    docker_image: Text = optional("Image in which the role runs.", "msranni/nni:latest")
    cpu_number: Count | None = optional("CPUs of a pod.")
    gpu_number: NonNegative | None = optional("GPUs of a pod.")
    memory_size: MemorySize | None = optional("Memory of a pod, such as 8gb; a number is in megabytes.")
    private_registry_auth_path: PathField | None = optional("Docker's config.json with the login of a registry.")


class KubeflowStorageConfig(KubernetesStorageConfig):
    """Where code and results of Kubeflow jobs are kept."""


class KubeflowConfig(TrainingServiceConfig):
    """Trials run as TFJob or PyTorchJob (PLT-105, 281, 353)."""

    platform: Literal["kubeflow"] = optional("Run trials on Kubeflow.", "kubeflow")
    operator: Annotated[Literal["tf-operator", "pytorch-operator"], Word] = required(
        "Which operator runs the jobs.", "tf-operator"
    )
    api_version: Text = required("Version of the operator's API: v1, v1beta2, …", "v1")
    worker: KubeflowRoleConfig | None = optional("The workers.")
    ps: KubeflowRoleConfig | None = optional("The parameter servers (tf-operator).")
    master: KubeflowRoleConfig | None = optional("The master (pytorch-operator).")
    storage: KubeflowStorageConfig = required("Where code and results are kept.", "{storageType: nfs, ...}")
    reuse_mode: bool = optional("Whether one long-running job runs trial after trial.", default=True)

    def _faults(self) -> Iterator[Fault]:
        given = [role for role in ("worker", "ps", "master") if getattr(self, role) is not None]
        if not given:
            yield Fault(("worker",), "required: a job needs at least one role (worker, ps or master)")
        allowed = _ROLES.get(self.operator, given)
        for role in given:
            if role not in allowed:
                yield Fault((role,), f"{self.operator} has no such role, only {' and '.join(allowed)}")
