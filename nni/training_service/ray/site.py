"""Actors of a Ray cluster, each with a trial runner beside it: the environments of the pool."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import partial
from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.config import memory_megabytes
from nni.training_service.pool import Channel, ClusterSite, Environment, UnreachableError
from nni.training_service.pool.archive import runner_directory
from nni.training_service.ray.cluster import RayCluster
from nni.training_service.ray.head import Head

if TYPE_CHECKING:
    from nni.config import RayConfig
    from nni.training_service.pool import PoolSettings

_PATIENCE = 40.0  # seconds that an attempt waits for room: more than a link takes for an attempt in vain


class RayEnvironment(Environment):
    """One actor, and the runner that it holds resources for."""

    def __init__(self, cluster: RayCluster, number: int) -> None:
        self.name = f"ray-{number}"
        self._cluster = cluster
        self._actor = f"{cluster.prefix}{number}"
        self._root = runner_directory(cluster.experiment_id, self._actor)
        self._reason: str | None = None

    def first_bytes(self) -> bytes:
        """Return nothing: the actor has the runner."""
        return b""

    async def connect(self) -> Channel:
        """Have Ray place an actor if there is none, and join its runner."""
        channel, reason = await self._cluster.open(self.name, self._actor, self._root, self._reason, _PATIENCE)
        self._reason = reason
        if channel is None:
            raise UnreachableError(f"{self.name}: {reason}")
        return channel

    async def stop(self) -> None:
        """Give the resources back."""
        await self._cluster.kill(self._actor)


def ray_sites(settings: PoolSettings, config: RayConfig) -> list[ClusterSite]:
    """
    Return the places of a configuration.

    Raises
    ------
    NniError
        Ray is not installed.
    """
    cluster = ray_cluster(settings, config)
    return [
        ClusterSite(
            cluster,
            partial(RayEnvironment, cluster, number + 1),
            is_reused=config.reuse_mode,
            idle_minutes=config.idle_minutes,
        )
        for number in range(config.max_runners)
    ]


def ray_cluster(settings: PoolSettings, config: RayConfig) -> RayCluster:
    """
    Return the cluster of a configuration.

    Raises
    ------
    NniError
        Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise NniError("trainingService: platform ray needs Ray; install it: pip install 'nni[ray]'")
    head = None if config.address else Head(settings.directory, runner_directory(settings.experiment_id, "x"))
    asked = json.dumps([config.address, wants(settings, config), config.runtime_env], sort_keys=True, default=str)
    label = hashlib.sha256(asked.encode()).hexdigest()[:6]  # several services of one experiment may share a cluster
    return RayCluster(
        settings.experiment_id,
        label,
        settings.directory,
        head or config.address or "",
        wants(settings, config),
        config.runtime_env,
        may_grow=config.wait_for_nodes,
    )


def wants(settings: PoolSettings, config: RayConfig) -> dict[str, float]:
    """Return what each trial needs, in Ray's names."""
    found = {"CPU": config.cpus, "GPU": config.gpus if config.gpus is not None else float(settings.gpu_number or 0)}
    if config.memory is not None:
        found["memory"] = float(int(memory_megabytes(config.memory) * 2**20))
    return {name: amount for name, amount in (found | (config.resources or {})).items() if amount}
