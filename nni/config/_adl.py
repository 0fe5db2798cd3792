"""Trials as jobs of AdaptDL."""

from __future__ import annotations

from typing import ClassVar, Literal

from nni.config._fields import NonNegative, Text, optional, required
from nni.config._model import ConfigModel
from nni.config._training_service import TrainingServiceConfig


class AdlNfsConfig(ConfigModel):
    """An NFS export that the trial's container mounts."""

    server: Text = required("Host of the NFS server.", "192.0.2.9")
    path: Text = required("Exported directory.", "/")
    container_mount_path: Text = required("Where it is mounted in the container.", "/nfs")


class AdlCheckpointConfig(ConfigModel):
    """Storage for the checkpoints of a trial."""

    storage_class: Text = required("Storage class of the cluster.", "dfs")
    storage_size: Text = required("Size as Kubernetes writes it.", "1Gi")


class AdlPullSecretConfig(ConfigModel):
    """A secret of the cluster with which images are pulled."""

    name: Text = required("Name of the secret.", "stagingsecret")


class AdlConfig(TrainingServiceConfig):
    """Trials run as AdaptDL jobs; the keys are those of the old schema, in this one's spelling (PLT-107, 289)."""

    platform: Literal["adl"] = optional("Run trials on AdaptDL.", "adl")
    docker_image: Text = required("Image in which trials run.", "my/image:1")
    image_pull_secrets: list[AdlPullSecretConfig] | None = optional(
        "Secrets for a private registry.", examples=[[{"name": "stagingsecret"}]]
    )
    namespace: Text = optional("Namespace of the jobs.", "default")
    adaptive: bool = optional("Whether a job may be preempted and resized.", default=False)
    code_directory: Text = optional("Working directory in the container; '.' is the image's own.", ".")
    cpu_number: NonNegative | None = optional("CPUs of a trial.")
    memory_size: Text | None = optional("Memory of a trial as Kubernetes writes it.", examples=["8Gi"])
    nfs: AdlNfsConfig | None = optional("An NFS export to mount.")
    checkpoint: AdlCheckpointConfig | None = optional("Storage for checkpoints.")

    _other_names: ClassVar[dict[str, str]] = {"imagePullSecret": "image_pull_secrets", "image": "docker_image"}
