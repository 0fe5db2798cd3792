"""Trials in jobs of a Slurm cluster, by the programs that its users have: sbatch, squeue, srun, scancel."""

from __future__ import annotations

from nni.config import SlurmConfig
from nni.training_service.pool import PoolSettings, PoolTrainingService
from nni.training_service.slurm.site import Cluster, SlurmSite

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
    cluster = Cluster(
        settings.experiment_id, settings.directory / "slurm", _options(settings, config), config.setup or []
    )
    sites = [SlurmSite(cluster, number + 1) for number in range(config.max_jobs)]
    for site in sites:
        site.is_reused = config.reuse_mode
        site.idle_after = 60.0 * config.idle_minutes
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
