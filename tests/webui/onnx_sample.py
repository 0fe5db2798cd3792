"""A small ONNX file, written field by field as the published format says."""

from __future__ import annotations


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def operator(kind: str, name: str, inputs: list[str], outputs: list[str]) -> bytes:
    ends = b"".join(part(1, item) for item in inputs) + b"".join(part(2, item) for item in outputs)
    return part(1, ends + part(3, name) + part(4, kind))


def two_layers() -> bytes:
    """Gemm with a 4 x 300 weight, then Relu."""
    weight = part(5, number(1, 4) + number(1, 300) + part(8, "w") + part(9, b"\0" * 4800))
    graph = operator("Gemm", "first", ["image", "w"], ["hidden"]) + operator("Relu", "second", ["hidden"], ["scores"])
    ends = part(11, part(1, "image")) + part(11, part(1, "w")) + part(12, part(1, "scores"))
    return number(1, 8) + part(2, "by hand") + part(7, graph + part(2, "net") + weight + ends)
