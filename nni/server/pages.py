"""The way to the web page: nothing of it is imported before somebody asks for it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from nni.server.answers import JsonResponse
from nni.server.served import ServedExperiment

if TYPE_CHECKING:
    from nni.webui import Site

_logger = logging.getLogger("nni.server")


class Pages:
    """ASGI application behind every path that is no route of the API.

    Parameters
    ----------
    experiment
        What the pages show.
    api
        Path of the REST API below the prefix; what lies below it is never a page.
    """

    def __init__(self, experiment: ServedExperiment, api: str) -> None:
        self._experiment = experiment
        self._api = api
        self._opening = asyncio.Lock()
        self._site: Site | None = None
        self._life = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, after importing the pages if need be."""
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == self._api or path.startswith(f"{self._api}/"):
            await _refuse(scope, receive, send, f"{scope['path']}: there is no such route; see /docs")
            return
        site = self._site
        await (await self._opened() if site is None else site.app)(scope, receive, send)

    async def close(self) -> None:
        """End what the pages started."""
        await self._life.aclose()

    def _build(self) -> Site:
        """Import and build the pages; slow, so in a thread of its own."""
        from nni.webui import Site  # noqa: PLC0415

        site = Site(self._experiment, self._api)
        gc.collect()
        gc.freeze()  # what was imported stays
        return site

    async def _opened(self) -> ASGIApp:
        async with self._opening:
            if self._site is None:
                started = time.monotonic()
                site = await asyncio.to_thread(self._build)
                await self._life.enter_async_context(site.running())
                self._site = site
                _logger.debug("web page imported in %.2f s", time.monotonic() - started)
        return self._site.app


class ShortWay:
    """ASGI middleware: the files and the connection of the pages do not pass through the framework of the API.

    A page that is opened asks for some twenty files; on the way through every route of the API each would cost more
    than its answer.

    Parameters
    ----------
    app
        What answers everything else.
    pages
        The pages.
    prefix
        What stands before every path.
    """

    def __init__(self, app: ASGIApp, pages: Pages, prefix: str) -> None:
        self._app = app
        self._pages = pages
        self._prefix = prefix
        self._below = (f"{prefix}/_nicegui/", f"{prefix}/_nicegui_ws/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "lifespan" or not scope["path"].startswith(self._below):
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        await self._pages({**scope, "app_root_path": root, "root_path": root + self._prefix}, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": reason})
    else:
        await JsonResponse({"error": reason}, status_code=404)(scope, receive, send)
