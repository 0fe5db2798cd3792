"""Bodies of answers: JSON without detours, long lists and log files as streams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fastapi.responses import PlainTextResponse, Response, StreamingResponse

_PIECE = 64 * 1024


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
    """Answer with a text file, or with its first or last lines; the file is never held in memory whole."""
    if head is not None:
        with path.open("rb") as file:
            return PlainTextResponse(b"".join(islice(file, head)))
    start = _start_of_tail(path, tail) if tail is not None else 0
    return StreamingResponse(_file_pieces(path, start), media_type="text/plain; charset=utf-8")


def _file_pieces(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            yield piece


def _start_of_tail(path: Path, lines: int) -> int:
    """Return where the last `lines` lines begin, reading from the end."""
    with path.open("rb") as file:
        place = file.seek(0, 2)
        missing = lines + 1  # the newline before the first wanted line; the file's last one ends the last
        while place > 0:
            step = min(_PIECE, place)
            place -= step
            file.seek(place)
            piece = file.read(step)
            if missing == lines + 1 and not piece.endswith(b"\n"):
                missing -= 1
            found = piece.count(b"\n")
            if found >= missing:
                for _ in range(found - missing + 1):
                    start = piece.find(b"\n")
                    place += start + 1
                    piece = piece[start + 1 :]
                return place
            missing -= found
    return 0
