"""One broadcaster per experiment: what changed is asked and encoded once, however many pages are open."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from nni.manager.queries import changed_columns
from nni.server.served import ServedExperiment

_PIECE = 200  # trials
PAUSE = 0.2  # seconds between rounds: at most five a second

_Key = tuple[str, int, int]


class Broadcaster:
    """Encodes changes for the clients of ``WS /events``.

    Nothing is queued for a slow client: it gets the present state of what changed since it was last served. Clients
    that keep up share one text.

    Parameters
    ----------
    experiment
        Whose changes.
    """

    def __init__(self, experiment: ServedExperiment) -> None:
        self._experiment = experiment
        self._texts: dict[_Key, asyncio.Task[tuple[str | None, int]]] = {}
        self._summary: tuple[asyncio.Event, float, str] | None = None

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change."""
        return self._experiment.changed

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._experiment.ended

    def summary(self) -> str:
        """Return the message that tells how the experiment stands."""
        now = time.monotonic()
        if self._summary is None or self._summary[0] is not self.changed or now - self._summary[1] > PAUSE:
            text = json.dumps({"type": "summary", **self._experiment.summary()}, separators=(",", ":"))
            self._summary = self.changed, now, text
        return self._summary[2]

    async def trials(self, after: int, *, compact: bool) -> tuple[str | None, int]:
        """Return the message about trials that changed after a revision (None if none did), and its revision."""
        queries = self._experiment.queries
        revision = queries.reader.revision()
        if revision <= after:
            return None, after
        key = ("columns" if compact else "trials", after, revision)
        task = self._texts.get(key)
        if task is None:
            self._texts = {old: text for old, text in self._texts.items() if old[2] == revision or not text.done()}
            make: Callable[[int], tuple[str | None, int]] = self._columns if compact else self._trials
            task = self._texts[key] = asyncio.create_task(asyncio.to_thread(make, after))
        return await asyncio.shield(task)

    def _columns(self, after: int) -> tuple[str | None, int]:
        text = changed_columns(self._experiment.queries, after)
        revision: int = json.loads(text[: text.index(",")] + "}")["revision"]
        return f'{{"type":"columns",{text[1:]}', revision

    def _trials(self, after: int) -> tuple[str | None, int]:
        page: dict[str, Any] = self._experiment.queries.trials(None, "sequence", -1, 0, after)
        items = page["items"]
        # Some at a time: one call for thousands of trials would keep every other thread waiting.
        pieces = [
            json.dumps(items[start : start + _PIECE], separators=(",", ":"))[1:-1]
            for start in range(0, len(items), _PIECE)
        ]
        return f'{{"type":"trials","revision":{page["revision"]},"items":[{",".join(pieces)}]}}', page["revision"]
