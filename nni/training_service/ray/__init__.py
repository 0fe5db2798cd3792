"""Trials on the nodes of a Ray cluster: an actor holds what a trial runner needs, and carries bytes to it.

- `nni.training_service.ray.site`: what the pool of environments sees.
- `nni.training_service.ray.cluster`: the manager's side of the driver, a process that speaks with Ray.
- `nni.training_service.ray.driver`: that process; `ray` is imported there only.
- `nni.training_service.ray.actor`: what runs on the nodes.
- `nni.training_service.ray.head`: the Ray of an experiment that names no cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nni.config import RayConfig
    from nni.training_service.pool import PoolSettings, PoolTrainingService

__all__ = ["ray_service"]


def ray_service(settings: PoolSettings, config: RayConfig) -> PoolTrainingService:
    """
    Return the service for a configuration.

    Parameters
    ----------
    settings
        What does not depend on the cluster.
    config
        The ``trainingService`` section.

    Raises
    ------
    NniError
        Ray is not installed, or the code directory cannot be sent.
    """
    from nni.training_service.pool import PoolTrainingService  # noqa: PLC0415  (the driver needs nothing of it)
    from nni.training_service.ray.site import ray_sites  # noqa: PLC0415

    return PoolTrainingService(settings, ray_sites(settings, config))
