"""Trials as processes of this machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from nni.config._fields import Count, GpuIndices, optional
from nni.config._training_service import TrainingServiceConfig

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]


class LocalConfig(TrainingServiceConfig):
    """Trials run on this machine (PLT-099)."""

    platform: Literal["local"] = optional("Run trials on this machine.", "local")
    use_active_gpu: bool | None = optional(
        "Whether trials may use GPUs on which other programs run; true on a machine with a graphical desktop. "
        "Must be given when trialGpuNumber is greater than 0."
    )
    max_trial_number_per_gpu: Count = optional("How many trials may share one GPU.", 1)
    gpu_indices: GpuIndices | None = optional("The GPUs that trials may use; absent: all.")
    preload: list[ModuleName] | None = optional(
        "Python modules that are imported once and shared by all trials, whose command then is python script.py …",
        examples=[["torch", "sklearn"]],
    )
