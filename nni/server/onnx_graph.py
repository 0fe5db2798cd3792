"""The graph in an ONNX file, read without any package for it: a protocol-buffer message is a list of numbered fields.

Field numbers are those of the published format (onnx.proto3): ``ModelProto.graph`` 7; ``GraphProto`` node 1,
initializer 5, input 11, output 12; ``NodeProto`` input 1, output 2, name 3, op_type 4; ``TensorProto`` dims 1, name 8;
``ValueInfoProto.name`` 1.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nni.common.errors import NniError

_MOST_NODES = 3000  # of a graph that a page can draw
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Buffer = memoryview


class ModelError(NniError):
    """A file that holds no ONNX model, or one too large to draw."""


def read_graph(path: Path) -> dict[str, Any]:
    """Return the operators of a model and what flows between them.

    Returns
    -------
    dict
        ``{"nodes": [{"id", "kind": "input" | "operator" | "output", "label", "name", "detail"}], "edges": [[from,
        to]]}``, nodes before those that depend on them.

    Raises
    ------
    ModelError
        The file is no ONNX model, or has too many operators to draw.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                return _model(view)
            finally:
                view.release()
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelError(f"{path.name}: not a readable ONNX model ({error})") from None


def _model(view: Buffer) -> dict[str, Any]:
    graphs = [value for number, value in _fields(view) if number == 7 and not isinstance(value, int)]
    if not graphs:
        raise ValueError("it has no graph")
    try:
        return _graph(graphs[0])
    finally:
        for graph in graphs:
            graph.release()


def _graph(view: Buffer) -> dict[str, Any]:
    operators, weights, inputs, outputs = list[dict[str, Any]](), dict[str, str](), list[str](), list[str]()
    for number, value in _fields(view):
        if isinstance(value, int):
            continue
        if number == 1:
            operators.append(_operator(value))
        elif number == 5:
            name, shape = _tensor(value)
            weights[name] = shape
        elif number == 11:
            inputs.append(_text(value, 1))
        elif number == 12:
            outputs.append(_text(value, 1))
        value.release()
    if len(operators) > _MOST_NODES:
        raise ValueError(f"{len(operators)} operators are too many to draw")
    return _drawn(operators, weights, [name for name in inputs if name not in weights], outputs)


def _drawn(
    operators: list[dict[str, Any]], weights: dict[str, str], inputs: list[str], outputs: list[str]
) -> dict[str, Any]:
    maker = {name: f"in:{name}" for name in inputs}
    nodes = [{"id": f"in:{name}", "kind": "input", "label": name, "name": name, "detail": "input"} for name in inputs]
    edges = list[list[str]]()
    for place, operator in enumerate(operators):
        identifier = f"op:{place}"
        own = [f"{name} {weights[name]}" for name in operator["inputs"] if name in weights]
        nodes.append(
            {
                "id": identifier,
                "kind": "operator",
                "label": operator["type"],
                "name": operator["name"],
                "detail": ", ".join(own),
            }
        )
        edges += [[maker[name], identifier] for name in operator["inputs"] if name in maker]
        maker.update(dict.fromkeys(operator["outputs"], identifier))
    for name in outputs:
        nodes.append({"id": f"out:{name}", "kind": "output", "label": name, "name": name, "detail": "output"})
        edges += [[maker[name], f"out:{name}"]] if name in maker else []
    return {"nodes": nodes, "edges": edges}


def _operator(view: Buffer) -> dict[str, Any]:
    operator: dict[str, Any] = {"inputs": [], "outputs": [], "name": "", "type": ""}
    for number, value in _fields(view):
        if isinstance(value, int):
            continue
        if number in {1, 2}:
            operator["inputs" if number == 1 else "outputs"].append(str(value, "utf-8"))
        elif number in {3, 4}:
            operator["name" if number == 3 else "type"] = str(value, "utf-8")
        value.release()
    return operator


def _tensor(view: Buffer) -> tuple[str, str]:
    """Return name and shape; the numbers in it are left where they are."""
    name, shape = "", list[int]()
    for number, value in _fields(view):
        if number == 1:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == 8 and not isinstance(value, int):
            name = str(value, "utf-8")
        if not isinstance(value, int):
            value.release()
    return name, " x ".join(map(str, shape))


def _text(view: Buffer, wanted: int) -> str:
    found = ""
    for number, value in _fields(view):
        if not isinstance(value, int):
            found = str(value, "utf-8") if number == wanted else found
            value.release()
    return found


def _packed(view: Buffer) -> list[int]:
    numbers, place = list[int](), 0
    while place < len(view):
        number, place = _varint(view, place)
        numbers.append(number)
    return numbers


def _fields(view: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    """Yield number and value of each field: an integer, or a part of the buffer."""
    place = 0
    while place < len(view):
        key, place = _varint(view, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(view, place)
            yield key >> 3, value
        elif kind == _BYTES:
            length, place = _varint(view, place)
            if place + length > len(view):
                raise ValueError("it ends too early")
            yield key >> 3, view[place : place + length]
            place += length
        elif kind in {_FIXED64, _FIXED32}:
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"unknown kind of field {kind}")


def _varint(view: Buffer, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = view[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
