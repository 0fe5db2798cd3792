"""What manager and driver say to each other over a pipe: a JSON object a line, and as many bytes as it announces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

LIMIT = 16 * 1024 * 1024
"""The longest line."""


def encode(head: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return a frame as it goes over the pipe."""
    return json.dumps({**head, "bytes": len(payload)} if payload else head).encode() + b"\n" + payload


async def receive(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes] | None:
    """Return the next frame; None at the end, whole frames or not."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        return None
    head: dict[str, Any] = json.loads(line)
    size = head.get("bytes", 0)
    payload = await reader.readexactly(size) if size else b""
    return head, payload
