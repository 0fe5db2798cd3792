"""What the pages need of the experiment that they show; the server's experiments have all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

from nni.manager.queries import Queries


class Subject(Protocol):
    """An experiment as the pages see it: questions, and changes that raise ``NniError`` with the reason."""

    directory: Path
    profile: Any
    queries: Queries
    changed: asyncio.Event

    @property
    def ended(self) -> bool:
        """Whether nothing more will be served."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return everything that a person wants to know first."""
        ...

    async def update(self, update_type: str, params: dict[str, Any]) -> None:
        """Change one setting."""
        ...

    async def kill_trial(self, identifier: str) -> None:
        """Have a trial ended."""
        ...

    async def add_trial(self, parameters: Any) -> int:
        """Queue a configuration of a person's own; returns its sequence number."""
        ...
