"""Places in a cluster, each for one environment that is had as long as trials need it."""

from __future__ import annotations

from collections.abc import Callable

from nni.training_service.pool.environment import Environment, Site


class Cluster:
    """What all places of an experiment in a cluster share; a platform's own is a subclass."""

    async def check(self) -> None:
        """Make sure that environments can be had; raises `UnusableError` if not. Called by every place."""
        return

    async def clear(self) -> None:
        """Leave nothing of the experiment in the cluster."""
        return

    async def close(self) -> None:
        """Let go of the cluster; what it gave stays."""
        return


class ClusterSite(Site):
    """A place for one environment.

    Parameters
    ----------
    cluster
        What it shares with the other places.
    environment
        Returns the environment; its name is that of the place.
    is_reused
        Whether one environment runs trial after trial.
    idle_minutes
        Minutes without a trial after which the environment is given back.
    """

    capacity = 1

    def __init__(
        self, cluster: Cluster, environment: Callable[[], Environment], *, is_reused: bool, idle_minutes: int
    ) -> None:
        self.name = environment().name
        self.is_reused = is_reused
        self.idle_after = 60.0 * idle_minutes
        self._cluster = cluster
        self._environment = environment

    async def check(self) -> None:
        """Ask the cluster whether environments can be had."""
        await self._cluster.check()

    async def clear(self) -> None:
        """Leave nothing of the experiment in the cluster."""
        await self._cluster.clear()

    async def close(self) -> None:
        """Let go of the cluster."""
        await self._cluster.close()

    def environment(self, label: str) -> Environment:
        """Return the environment; there is one label only."""
        del label
        return self._environment()
