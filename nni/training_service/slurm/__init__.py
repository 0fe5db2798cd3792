"""Trials in jobs of a Slurm cluster, by the programs that its users have: sbatch, squeue, srun, scancel."""

from __future__ import annotations

from functools import partial

from nni.config import SlurmConfig
from nni.training_service.pool import ClusterSite, PoolSettings, PoolTrainingService
from nni.training_service.slurm.site import SlurmCluster, SlurmEnvironment

__all__ = ["slurm_service"]


def slurm_service(settings: PoolSettings, config: SlurmConfig) -> PoolTrainingService:
    """
    Return the service for a configuration.

    Parameters
    ----------
    settings
        What does not depend on the cluster. Its directory must be seen by the cluster's nodes under the same path.
    config
        The ``trainingService`` section.

    Raises
    ------
    CodeFilesError
        The code directory cannot be sent.
    """
    cluster = SlurmCluster(
        settings.experiment_id, settings.directory / "slurm", _options(settings, config), config.setup or []
    )
    sites = [
        ClusterSite(
            cluster,
            partial(SlurmEnvironment, cluster, number + 1),
            is_reused=config.reuse_mode,
            idle_minutes=config.idle_minutes,
        )
        for number in range(config.max_jobs)
    ]
    return PoolTrainingService(settings, sites)


def _options(settings: PoolSettings, config: SlurmConfig) -> list[str]:
    gpus = f"gpu:{settings.gpu_number}" if settings.gpu_number else None
    given = {
        "partition": config.partition,
        "account": config.account,
        "time": config.time,
        "gres": config.gres or gpus,
        "cpus-per-task": config.cpus,
        "mem": config.memory,
    }
    return [f"--{name}={value}" for name, value in given.items() if value is not None] + list(config.options or [])
