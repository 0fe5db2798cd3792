"""Trials on Azure Machine Learning."""

from __future__ import annotations

from typing import Literal

from nni.config._fields import Count, Text, optional, required
from nni.config._training_service import TrainingServiceConfig


class AmlConfig(TrainingServiceConfig):
    """Trials run on an Azure Machine Learning cluster, always in reuse mode (PLT-103, 342)."""

    platform: Literal["aml"] = optional("Run trials on Azure Machine Learning.", "aml")
    subscription_id: Text = required("Azure subscription.", "00000000-0000-0000-0000-000000000000")
    resource_group: Text = required("Azure resource group.", "my-group")
    workspace_name: Text = required("Workspace.", "my-workspace")
    compute_target: Text = required("Name of the compute cluster.", "my-cluster")
    docker_image: Text = optional("Image in which trials run.", "msranni/nni:latest")
    max_trial_number_per_gpu: Count = optional("How many trials may share one GPU.", 1)
    use_active_gpu: bool = optional("Whether trials may use GPUs on which other programs run.", default=False)
