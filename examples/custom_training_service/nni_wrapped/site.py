"""A place behind a command, as NNI's pool of training machines wants it."""

from __future__ import annotations

import asyncio

from nni.training_service.pool import (
    Channel,
    Environment,
    ProcessChannel,
    Site,
    UnusableError,
    arguments,
    runner_directory,
)


class WrappedEnvironment(Environment):
    """The home of one trial runner: NNI asks for a channel to a program there, and sends the runner through it."""

    def __init__(self, name: str, command: list[str], directory: str, python: str) -> None:
        self.name = name
        self._command = command
        self._words = arguments(python, "attach", directory)

    async def connect(self) -> Channel:
        """Start the program that finds the runner there, or starts it."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise UnusableError(f"{self.name}: {self._command[0]} cannot be started ({error.strerror})") from error
        return ProcessChannel(process)


class WrappedSite(Site):
    """A place; `stop`, `clear` and `close` of its base class free nothing, because the command took nothing."""

    def __init__(self, name: str, command: list[str], experiment_id: str, python: str) -> None:
        self.name = name
        self._command = command
        self._experiment_id = experiment_id
        self._python = python

    def environment(self, label: str) -> Environment:
        """Return the home of the runner with this label, which is part of its directory's name."""
        directory = runner_directory(self._experiment_id, f"{self.name}{label and '-'}{label}")
        return WrappedEnvironment(self.name, self._command, directory, self._python)
