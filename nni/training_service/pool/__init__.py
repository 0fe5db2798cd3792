"""Trials on other machines: a pool of environments, each with a trial runner, and one service that places trials there.

A platform is an `Environment` and a `Site`; everything else is here, once for all of them.
"""

from nni.training_service.pool.archive import arguments, runner_directory
from nni.training_service.pool.cluster_site import Cluster, ClusterSite
from nni.training_service.pool.environment import (
    Channel,
    Environment,
    Site,
    UnreachableError,
    UnusableError,
)
from nni.training_service.pool.process_site import ProcessChannel, ProcessSite
from nni.training_service.pool.service import PoolTrainingService
from nni.training_service.pool.settings import PoolSettings

__all__ = [
    "Channel",
    "Cluster",
    "ClusterSite",
    "Environment",
    "PoolSettings",
    "PoolTrainingService",
    "ProcessChannel",
    "ProcessSite",
    "Site",
    "UnreachableError",
    "UnusableError",
    "arguments",
    "runner_directory",
]
