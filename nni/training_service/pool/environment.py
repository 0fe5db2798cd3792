"""What a platform has to offer to have trials run on it: environments, and a way to their runners.

The contract in words is here; ``nni.testing.environment`` is the same contract as a test-suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from nni.common.errors import NniError
from nni.training_service.gpu import GpuRules
from nni.training_service.pool.archive import greeting_bytes


class UnreachableError(NniError):
    """An environment cannot be had now; it is tried again. The text is one line that names the machine."""


class UnusableError(NniError):
    """An environment will not do until a person has changed something; it is not tried again."""


class Channel(ABC):
    """Bytes to and from the standard input and output of a program in an environment."""

    @abstractmethod
    async def read(self) -> bytes:
        """Return what has come, at least a byte; nothing when the program has ended or the connection is cut."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent at once is kept."""

    @abstractmethod
    async def drain(self) -> None:
        """Return when little of what was written is kept; raises ``ConnectionError`` when it never will be sent."""

    @abstractmethod
    async def complaint(self) -> tuple[int | None, str]:
        """Return exit code (None if it is not known) and standard error of a program that has ended."""

    @abstractmethod
    def close(self) -> None:
        """End the connection, not the runner behind it."""

    async def wait_closed(self) -> None:
        """Return when nothing of a closed channel is left here."""
        return


class Environment(ABC):
    """A place where one trial runner lives.

    The contract:

    - :meth:`connect` returns a channel to a program that it starts with the words of
      `nni.training_service.pool.archive.command`, as the user whose trials these are. The program finds the runner of
      the environment or starts one, so that to connect again is to find what runs there.
    - The runner lives on when a channel ends, in whatever way.
    - Errors are `UnreachableError` and `UnusableError`, in one line that names the machine and what to do.
    - :meth:`stop` is called when the runner has ended (or cannot be reached any more): it frees what the platform gave.
    """

    name: str
    """Shown to people, and the same each time: trials are found again by it."""

    @abstractmethod
    async def connect(self) -> Channel:
        """Return a new channel to the runner, which is started if there is none."""

    def first_bytes(self) -> bytes:
        """Return what the program of a channel reads before the first message: the trial runner, unless it has it."""
        return greeting_bytes()

    async def stop(self) -> None:
        """Free what the platform gave."""
        return


class Site(ABC):
    """A machine, or a part of a cluster: it has environments, and what they share."""

    name: str
    """Unique in the experiment, shown to people, and the same each time: trials are found again by it."""

    gpus: GpuRules | None = None
    """How its GPUs are given to trials; None: they are not."""

    is_reused: bool = True
    """Whether one runner runs trial after trial; if not, each trial gets one of its own (PLT-254)."""

    capacity: int | None = None
    """How many trials run here at once; None: as many as the experiment wants."""

    idle_after: float | None = None
    """Seconds without a trial after which the environment is given back, to be had again when a trial needs it; None:
    it is there from the beginning to the end."""

    async def check(self) -> None:
        """Make sure that environments can be had, before the experiment starts; raises `UnusableError` if not."""
        return

    @abstractmethod
    def environment(self, label: str) -> Environment:
        """Return an environment by its label, which is part of its directory's name; another label, another runner."""

    async def clear(self) -> None:
        """Free all that the platform gave for this experiment, to a former manager, too: it is over."""
        return

    async def close(self) -> None:
        """Free what the environments share; what the platform gave stays."""
        return
