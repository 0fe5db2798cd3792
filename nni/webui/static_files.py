"""Serves scripts and styles compressed; each is compressed once in the life of the process."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COMPRESSIBLE = ("javascript", "css", "json", "svg")
_SMALL = 500  # bytes that are not worth it


class CompressedFiles:
    """ASGI middleware in front of NiceGUI: remembers the compressed bodies of its static files.

    Parameters
    ----------
    app
        What answers.
    below
        Paths that hold files which never change while the process lives.
    """

    def __init__(self, app: ASGIApp, below: str) -> None:
        self._app = app
        self._below = below
        self._kept: dict[str, tuple[MutableHeaders, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory where possible."""
        wanted = scope["type"] == "http" and scope["method"] == "GET"
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if (
            not wanted
            or not path.startswith(self._below)
            or "gzip" not in Headers(scope=scope).get("accept-encoding", "")
        ):
            await self._app(scope, receive, send)
            return
        if path not in self._kept:
            answer = _Answer()
            # Without the browser's own `receive`: one that goes away meanwhile would leave half a file to all others.
            await self._app(_uncached(scope), _patience, answer)
            if not answer.compressible:
                await answer.replay(send)
                return
            self._kept[path] = await asyncio.to_thread(answer.compressed)
        headers, body = self._kept[path]
        if Headers(scope=scope).get("if-none-match") == headers.get("etag"):
            await send({"type": "http.response.start", "status": 304, "headers": headers.raw})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers.raw})
        await send({"type": "http.response.body", "body": body})


async def _patience() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class _Answer:
    """Collects an answer."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._pieces: list[bytes] = []
        self._complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._pieces.append(message.get("body", b""))
            self._complete = not message.get("more_body", False)

    @property
    def compressible(self) -> bool:
        kind = Headers(raw=self._start["headers"]).get("content-type", "")
        large = sum(map(len, self._pieces)) > _SMALL
        compressible = large and any(name in kind for name in _COMPRESSIBLE)
        return self._complete and self._start["status"] == 200 and compressible

    def compressed(self) -> tuple[MutableHeaders, bytes]:
        body = gzip.compress(b"".join(self._pieces), 9)
        headers = MutableHeaders(raw=[*self._start["headers"]])
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        headers["vary"] = "Accept-Encoding"
        return headers, body

    async def replay(self, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": b"".join(self._pieces)})


def _uncached(scope: Scope) -> Scope:
    """Return the request as one that wants the whole file."""
    headers = [item for item in scope["headers"] if item[0] not in {b"if-none-match", b"if-modified-since", b"range"}]
    return {**scope, "headers": headers}
