"""How this machine reaches the storage; where nobody mounts it, in no way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nni.training_service.pool.code_image import CodeImage


class Access(ABC):
    """A way to the storage. Nothing here blocks the event loop, and nothing takes for ever."""

    is_marked = True
    """Whether `open` puts the mark of the experiment on the storage."""

    fetches = False
    """Whether what a trial left is brought by `fetch`."""

    @abstractmethod
    async def open(self, token: str) -> None:
        """Make the way, and put the mark of the experiment there; raises ``NniError``."""

    @abstractmethod
    async def publish(self, code: CodeImage) -> None:
        """Put the code directory there; raises ``NniError``."""

    async def fetch(self, trial: str, target: Path) -> list[str]:
        """Copy a trial's output directory; returns what could not be had."""
        del trial, target
        return []

    def leave(self) -> None:
        """Let go, and leave it as it is."""
        return

    async def close(self) -> None:
        """Undo `open`; never raises."""
        return


class NoAccess(Access):
    """None: the machines bring the code directory over their connections, and what trials leave stays there."""

    is_marked = False

    async def open(self, token: str) -> None:
        """Do nothing."""

    async def publish(self, code: CodeImage) -> None:
        """Do nothing."""
