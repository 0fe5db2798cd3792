"""Bodies of answers: JSON without detours, long lists and log files as streams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fastapi.responses import Response, StreamingResponse

from nni.common.log_text import read_log


class JsonResponse(Response):
    """A value of plain JSON types, written as it is."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, separators=(",", ":")).encode()


def json_stream(items: Iterable[Any]) -> StreamingResponse:
    """Answer with a JSON list of any length without holding it in memory."""
    return StreamingResponse(_pieces(items), media_type="application/json")


def _pieces(items: Iterable[Any]) -> Iterator[str]:
    iterator = iter(items)
    separator = "["
    while piece := [json.dumps(item, separators=(",", ":")) for item in islice(iterator, 500)]:
        yield separator + ",".join(piece)
        separator = ","
    yield "[]" if separator == "[" else "]"


def text_file(path: Path, head: int | None, tail: int | None) -> Response:
    """Answer with a log file, or with its first or last lines; the file is never held in memory whole."""
    return StreamingResponse(read_log(path, head, tail), media_type="text/plain; charset=utf-8")
