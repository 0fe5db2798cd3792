"""What the pool needs of an experiment's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nni.training_service.shared_storage import SharedStorage
from nni.trial_runner.log_watch import LogLimit


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What the service needs of the experiment's configuration.

    Parameters
    ----------
    platform
        ``NNI_PLATFORM`` of the trials.
    gpu_number
        None leaves the GPUs visible to every trial, 0 hides them (PLT-081).
    grace
        Seconds a trial gets between SIGTERM and SIGKILL.
    log_limit
        How long the copies of trial.log and stderr here may become; None: as long as they want.
    lost_after
        Seconds without a connection after which a machine counts as lost.
    reruns
        How often a trial that was lost with its machine is placed again; 0: it fails.
    storage
        What this machine and the training machines share; None: nothing.
    """

    experiment_id: str
    directory: Path
    command: str
    code_directory: Path
    platform: str
    gpu_number: int | None = None
    grace: float = 10.0
    log_limit: LogLimit | None = None
    lost_after: float = 1800.0
    reruns: int = 0
    storage: SharedStorage | None = None
