"""Keeps what stands on open pages true: one task for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nni.webui.subject import Subject

if TYPE_CHECKING:
    from nni.webui.viewers import Viewers

_logger = logging.getLogger("nni.webui")
_PAUSE = 1.0  # seconds between two looks at the experiment
Summary = dict[str, Any]


class OpenPage:
    """One page that a browser shows.

    Attributes
    ----------
    interval
        Seconds between refreshes; None: only when the page is opened.
    viewers
        Its dialogs that show something.
    """

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.interval: float | None = 0.0
        self.viewers: Viewers
        self._served = time.monotonic()
        self._updates: list[Callable[[Summary], None]] = []

    def on_change(self, update: Callable[[Summary], None]) -> None:
        """Have `update` called with the summary now, and whenever the experiment changed."""
        self._updates.append(update)
        update(self.summary)

    def refresh(self, summary: Summary, now: float) -> None:
        """Show a newer summary, if this page wants one already."""
        if self.interval is None or now - self._served < self.interval:
            return
        self._served, self.summary = now, summary
        for update in self._updates:
            update(summary)


class Live:
    """The experiment and the pages that show it.

    Parameters
    ----------
    experiment
        What is shown.
    """

    def __init__(self, experiment: Subject) -> None:
        self.experiment = experiment
        self._pages: set[OpenPage] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, on the running event loop."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def open(self) -> OpenPage:
        """Return a new page that is kept up to date until :meth:`close`."""
        page = OpenPage(self.experiment.summary())
        self._pages.add(page)
        return page

    def close(self, page: OpenPage) -> None:
        """Forget a page."""
        self._pages.discard(page)

    async def _watch(self) -> None:
        while True:
            changed = self.experiment.changed
            await asyncio.sleep(_PAUSE)
            if not self._pages:
                await changed.wait()
                continue
            summary, now = self.experiment.summary(), time.monotonic()
            for page in list(self._pages):
                try:
                    page.refresh(summary, now)
                except Exception:
                    _logger.exception("a page could not be refreshed")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), 5)
