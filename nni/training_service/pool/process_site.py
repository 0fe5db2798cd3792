"""An environment that is a process of this machine, with a home of its own: for tests, and as the smallest example."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from nni.training_service.gpu import GpuRules
from nni.training_service.pool.archive import arguments, runner_directory
from nni.training_service.pool.environment import Channel, Environment, Site, UnusableError

_PATIENCE = 5.0  # seconds for a process to see that its input has ended
_PIECE = 256 * 1024


class ProcessChannel(Channel):
    """The pipes of a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def read(self) -> bytes:
        """Return what has come."""
        assert self.process.stdout is not None
        return await self.process.stdout.read(_PIECE)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def drain(self) -> None:
        """Return when little is kept."""
        assert self.process.stdin is not None
        await self.process.stdin.drain()

    async def complaint(self) -> tuple[int | None, str]:
        """Return exit code and standard error."""
        assert self.process.stderr is not None
        text = await self.process.stderr.read()
        return await self.process.wait(), text.decode(errors="replace")

    def close(self) -> None:
        """Close standard input; the process ends by itself then."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def wait_closed(self) -> None:
        """Return when the process has ended."""
        try:
            await asyncio.wait_for(self.process.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()


class ProcessEnvironment(Environment):
    """A runner on this machine."""

    def __init__(self, name: str, directory: str, home: Path, python: str) -> None:
        self.name = name
        self._directory = directory
        self._home = home
        self._python = python

    async def connect(self) -> Channel:
        """Start the program that finds the runner."""
        environment = {**os.environ, "HOME": str(self._home)}
        environment.pop("XDG_CACHE_HOME", None)
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments(self._python, "attach", self._directory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise UnusableError(f"{self.name}: {self._python} cannot be started ({error.strerror})") from error
        return ProcessChannel(process)


class ProcessSite(Site):
    """A second use of this machine, as if it were another one.

    Parameters
    ----------
    name
        Its name.
    home
        Where its files are.
    experiment_id
        Part of the runner's directory.
    """

    def __init__(
        self,
        name: str,
        home: Path,
        experiment_id: str,
        *,
        gpus: GpuRules | None = None,
        is_reused: bool = True,
        python: str = sys.executable,
    ) -> None:
        self.name = name
        self.gpus = gpus
        self.is_reused = is_reused
        self._home = home
        self._experiment_id = experiment_id
        self._python = python

    def environment(self, label: str) -> Environment:
        """Return a runner's place by its label."""
        directory = runner_directory(self._experiment_id, f"{self.name}{label and '-'}{label}")
        return ProcessEnvironment(self.name, directory, self._home, self._python)
