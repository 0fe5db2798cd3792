"""All trials in one compressed answer that is made once and serves every page that is opened."""

from __future__ import annotations

import asyncio
import gzip
import json

from nni.manager.queries import changed_columns
from nni.server.served import ServedExperiment

_STALE = 500  # trials that changed since: a page gets them as a delta, beyond that a new snapshot is made


class Snapshot:
    """Keeps the newest snapshot of an experiment's trials.

    Parameters
    ----------
    experiment
        Whose trials.
    """

    def __init__(self, experiment: ServedExperiment) -> None:
        self._experiment = experiment
        self._revision = -1
        self._body = b""
        self._making = asyncio.Lock()

    async def body(self) -> bytes:
        """Return gzipped JSON of :func:`~nni.manager.queries.changed_columns`, not older than `_STALE` changes."""
        async with self._making:
            if await asyncio.to_thread(self._is_stale):
                self._revision, self._body = await asyncio.to_thread(self._make)
            return self._body

    def _is_stale(self) -> bool:
        return self._revision < 0 or self._experiment.queries.reader.changed_trials(self._revision) > _STALE

    def _make(self) -> tuple[int, bytes]:
        text = changed_columns(self._experiment.queries, 0)
        revision: int = json.loads(text[: text.index(",")] + "}")["revision"]
        return revision, gzip.compress(text.encode(), 6)
