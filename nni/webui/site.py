"""The pages of one experiment as an ASGI application, on NiceGUI."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from nicegui.client import templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nni.webui.live import Live
from nni.webui.pages import register
from nni.webui.static_files import CompressedFiles
from nni.webui.subject import Subject

_RECONNECT = 10.0  # seconds in which a page that lost its connection finds its state again
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


class Site:
    """Everything that is served as pages.

    Parameters
    ----------
    experiment
        What is shown and steered.
    api
        Path of the REST API below the prefix.
    """

    def __init__(self, experiment: Subject, api: str) -> None:
        self._live = Live(experiment)
        register(self._live, api)
        self._shell = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        nicegui_app.config.vue_config_script += (files("nni.webui") / "static" / "start.js").read_text("utf-8")
        ui.run_with(
            self._shell,
            title="NNI",
            favicon=_FAVICON,
            dark=None,
            binding_refresh_interval=None,
            reconnect_timeout=_RECONNECT,
            message_history_length=200,
            gzip_middleware_factory=None,
            tailwind=False,
            show_welcome_message=False,
        )
        templates.get_template("index.html")  # compiled here and now, and not by the event loop at the first page
        self.app: ASGIApp = _Policy(CompressedFiles(self._shell, "/_nicegui/"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the pages alive."""
        logging.getLogger("nicegui").setLevel(logging.WARNING)
        async with self._shell.router.lifespan_context(self._shell):
            self._live.start()
            try:
                yield
            finally:
                await self._live.stop()


_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b5cad"/>'
    '<path d="M7 22 12 12l5 6 8-10" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" '
    'stroke-linejoin="round"/><circle cx="25" cy="8" r="3" fill="#ffd166"/></svg>'
)


class _Policy:
    """Tells the browser to load nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [
                    (b"content-security-policy", _POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, with_policy)
