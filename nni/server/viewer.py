"""The life of a process that only shows a stopped experiment (``--action view``)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from nni.common import logs
from nni.common.errors import NniError
from nni.server.host import Host
from nni.server.viewed import ViewedExperiment
from nni.store import ExperimentStatus
from nni.store.registry import RegistryError


class Viewer:
    """One process; the experiment's files stay as they are, except that the lock is held meanwhile.

    Parameters
    ----------
    host
        Where to serve.
    level
        Log level; the log goes to standard error, because the experiment's own one tells what the experiment did.
    """

    def __init__(self, host: Host, level: str) -> None:
        self._host = host
        self._level = level

    async def run(self) -> None:
        """Show the experiment until asked to stop."""
        logs.to_stream(sys.stderr, self._level)
        experiment = self._open()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, experiment.request_stop)
        with contextlib.suppress(RegistryError):
            self._host.registry.update(self._host.experiment_id, status=ExperimentStatus.VIEWED.value)

        async def end() -> None:
            experiment.announce()
            await asyncio.to_thread(self._host.registry.end_view, self._host.experiment_id)

        await self._host.serve(experiment, end)

    def _open(self) -> ViewedExperiment:
        experiment = ViewedExperiment(self._host.directory)
        if experiment.profile.id != self._host.experiment_id:
            raise NniError(
                f"{self._host.directory}: holds experiment {experiment.profile.id}, not {self._host.experiment_id}"
            )
        return experiment
