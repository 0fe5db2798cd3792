"""Trials as jobs of a Slurm cluster."""

from __future__ import annotations

from typing import Literal

from nni.config._fields import Count, Text, TextOrWhole, optional
from nni.config._runner_service import RunnerServiceConfig


class SlurmConfig(RunnerServiceConfig):
    """Trials run in jobs that ``sbatch`` submits from this machine; ours, 2.x had none."""

    platform: Literal["slurm"] = optional("Run trials in jobs of a Slurm cluster.", "slurm")
    partition: Text | None = optional("Partition; absent: the cluster's default.")
    account: Text | None = optional("Account that is charged.")
    time: TextOrWhole | None = optional("Longest time of a job, as --time of sbatch.", examples=["2:00:00"])
    gres: Text | None = optional(
        "Devices of each job, as --gres of sbatch; absent: as many GPUs as trialGpuNumber says.",
        examples=["gpu:a100:1"],
    )
    cpus: Count | None = optional("Processors of each job.")
    memory: Text | None = optional("Memory of each job, as --mem of sbatch.", examples=["8G"])
    options: list[Text] | None = optional("Further options of sbatch.", examples=[["--qos=low"]])
    setup: list[str] | None = optional(
        "Shell commands that each job runs first, to have a Python and what trials need.",
        examples=[["module load python", "conda activate lab"]],
    )
    max_jobs: Count = optional("How many jobs there may be at once; each runs one trial at a time.", 100)
    idle_minutes: Count = optional("Minutes without a trial after which a job is given back.", 5)
    reuse_mode: bool = optional(
        "Whether a job runs trial after trial; else each trial has a job of its own.", default=True
    )
