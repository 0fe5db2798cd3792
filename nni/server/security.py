"""Who may talk to the manager.

On loopback: everybody on this machine, but no web page of somebody else's (the browser sends its ``Origin``, and a name
that an attacker's DNS points at 127.0.0.1 is in ``Host``). On any other address: who has the token.
"""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from nni.server.answers import JsonResponse

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_COOKIE = "nni_token_"  # and what tells this token from those of other managers: browsers share cookies over ports


class Guard:
    """ASGI middleware in front of every route and websocket.

    Parameters
    ----------
    token
        Required from everybody when the manager listens on more than loopback; None there.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, _remember(send, self._presented(scope)))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": reason})
        else:
            await JsonResponse({"error": reason}, status_code=403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = urlsplit("//" + headers.get("host", "")).hostname
        if self._token is None and host not in _LOOPBACK:
            return f"this manager only answers on loopback, not as {host!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return f"requests from pages of {origin} are not accepted"
        if self._token is not None and not _given(scope, headers, self._token):
            return "a token is required: use the URL that was printed at start, or an Authorization: Bearer header"
        return None

    def _presented(self, scope: Scope) -> str | None:
        """Return the token if the URL carries it, so that the browser gets it as a cookie for what follows."""
        query = parse_qs(scope.get("query_string", b"").decode())
        return self._token if self._token is not None and "token" in query else None


def _given(scope: Scope, headers: dict[str, str], token: str) -> bool:
    query = parse_qs(scope.get("query_string", b"").decode())
    cookie = SimpleCookie(headers.get("cookie", "")).get(_cookie(token))
    candidates = [
        headers.get("authorization", "").removeprefix("Bearer "),
        *query.get("token", []),
        cookie.value if cookie else "",
    ]
    return any(hmac.compare_digest(candidate.encode(), token.encode()) for candidate in candidates)


def _cookie(token: str) -> str:
    return _COOKIE + hashlib.sha256(token.encode()).hexdigest()[:8]


def _remember(send: Send, token: str | None) -> Send:
    if token is None:
        return send

    async def with_cookie(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{_cookie(token)}={token}; Path=/; HttpOnly; SameSite=Strict"
            headers = message.get("headers")
            message["headers"] = [*(headers if isinstance(headers, list) else []), (b"set-cookie", cookie.encode())]
        await send(message)

    return with_cookie  # type: ignore[return-value]  # starlette types messages as MutableMapping
