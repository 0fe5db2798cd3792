"""The HTTP server inside a manager process. Importing this module imports the whole web framework: do it late."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.websockets_sansio_impl
from fastapi import FastAPI

from nni.server.app import build

__all__ = ["WebServer", "build"]


class WebServer(uvicorn.Server):
    """Uvicorn without a life of its own: the experiment decides when it ends, and signals are the manager's."""

    def __init__(self, app: FastAPI) -> None:
        # Named one by one: NiceGUI brings other parts that uvicorn would choose by itself, and that nobody has tested.
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="asyncio",
            http="httptools",
            ws="websockets-sansio",
        )
        super().__init__(config)
        self._app = app
        self._up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._up.set()

    async def start(self, sockets: list[socket.socket]) -> None:
        """Return when requests are answered."""
        self._serving = asyncio.create_task(self.serve(sockets))
        await self._up.wait()

    async def stop(self) -> None:
        """Close every connection and return."""
        await self._app.state.close()
        self.should_exit = True
        self.force_exit = True
        await self._serving
