"""What routes, event stream and page work with, whether the experiment runs or is only looked at."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from nni.manager.queries import Queries, Standing
from nni.store import Profile


class ServedExperiment(ABC):
    """An experiment and the questions to it.

    Parameters
    ----------
    directory
        The experiment's directory.
    profile
        The experiment as it is known; its manager changes it in place.
    at_rest
        Nobody runs the experiment.
    """

    def __init__(self, directory: Path, profile: Profile, *, at_rest: bool = False) -> None:
        self.directory = directory
        self.profile = profile
        self.queries = Queries(directory, profile, at_rest=at_rest)
        self.changed = asyncio.Event()
        """Set at the next change; every change puts a new event in its place."""
        self.stop_requested = asyncio.Event()

    @property
    @abstractmethod
    def standing(self) -> Standing:
        """Status, errors, number of trials by status, and why no further one starts."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether nothing more will be served."""

    def announce(self) -> None:
        """Wake everybody who waits for a change."""
        waiting, self.changed = self.changed, asyncio.Event()
        waiting.set()

    def request_stop(self) -> None:
        """Have the whole process end cleanly."""
        self.stop_requested.set()

    def summary(self) -> dict[str, Any]:
        """Return everything that a person wants to know first."""
        return self.queries.summary(self.standing)

    # Changes. Each raises RefusedError (or ConfigError) with the reason, and returns when it is on the disk.

    @abstractmethod
    async def update(self, update_type: str, params: dict[str, Any]) -> None:
        """Change one setting."""

    @abstractmethod
    async def kill_trial(self, identifier: str) -> None:
        """Have a trial ended; raises ``KeyError`` for an unknown id."""

    @abstractmethod
    async def add_trial(self, parameters: Any) -> int:
        """Queue a configuration of a person's own; returns its sequence number."""

    @abstractmethod
    async def annotate(self, identifier: str, note: str, tags: list[str]) -> None:
        """Keep what a person writes about a trial; raises ``KeyError`` for an unknown id."""

    @abstractmethod
    async def import_data(self, data: Any) -> None:
        """Hand results from elsewhere to the tuner."""

    @abstractmethod
    async def set_cluster_metadata(self, settings: dict[str, Any]) -> None:
        """Take settings of a legacy platform; raises ``ValueError`` for those it does not have."""
