"""Trials on Alibaba PAI-DLC."""

from __future__ import annotations

from typing import Annotated, Literal

from nni.config._fields import PathField, Text, TextOrWhole, Word, optional, required, secret
from nni.config._training_service import TrainingServiceConfig


class DlcConfig(TrainingServiceConfig):
    """Trials run as jobs of PAI-DLC; code and results live on a NAS that both sides mount (PLT-104, 300)."""

    platform: Literal["dlc"] = optional("Run trials on Alibaba PAI-DLC.", "dlc")
    type: Text = optional("Type of the job specification.", "Worker")
    image: Text = required("Image in which trials run.", "registry.example.com/pytorch-training:2.4")
    job_type: Annotated[Literal["TFJob", "PyTorchJob"], Word] = optional("Type of the training job.", "TFJob")
    pod_count: TextOrWhole = required("Pods for a training job.", "1")
    ecs_spec: Text = required("Specification of the training server.", "ecs.c6.large")
    region: Text = required("Region of the public cluster.", "cn-hangzhou")
    nas_data_source_id: Text = required("Id of the NAS data source in PAI-DLC.", "data0123456789ab")
    access_key_id: Text = secret("Id of the access key of the account.", is_required=True)
    access_key_secret: Text = secret("Secret of the access key of the account.", is_required=True)
    local_storage_mount_point: PathField = optional("Where the NAS is mounted on PAI-DSW.", "/home/admin/workspace/")
    container_storage_mount_point: Text = optional("Where the NAS is mounted on PAI-DLC.", "/root/data/")
