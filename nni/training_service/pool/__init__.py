"""Trials on other machines: a pool of environments, each with a trial runner, and one service that places trials there.

A platform is an `Environment` and a `Site`; everything else is here, once for all of them.
"""

from nni.training_service.pool.environment import (
    Channel,
    Environment,
    Site,
    UnreachableError,
    UnusableError,
)
from nni.training_service.pool.process_site import ProcessSite
from nni.training_service.pool.service import PoolTrainingService
from nni.training_service.pool.settings import PoolSettings

__all__ = [
    "Channel",
    "Environment",
    "PoolSettings",
    "PoolTrainingService",
    "ProcessSite",
    "Site",
    "UnreachableError",
    "UnusableError",
]
