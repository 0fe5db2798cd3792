"""JSON for trials without the module ``json``, whose import would be the dearest thing a small trial does.

CPython has the scanner and the encoder of ``json`` in C, and these need none of its Python parts. Where they are not to
be had as expected (another interpreter, a future version), ``json`` itself does the same.
"""

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _ScannerSettings:
    """What the C scanner reads of a decoder; the defaults of ``json.loads``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_CONSTANTS.__getitem__)


def _fast_encoder() -> "Callable[[Any], str]":
    from _json import encode_basestring_ascii, make_encoder  # noqa: PLC0415

    def dumps(value: "Any") -> str:
        # Markers (for circular references), default, strings, indent, separators, sort_keys, skipkeys, allow_nan.
        encode = make_encoder({}, _plain, encode_basestring_ascii, None, ":", ",", False, False, True)  # noqa: FBT003
        return "".join(encode(value, 0))

    if dumps({"a": [1.5, None]}) != '{"a":[1.5,null]}':
        raise TypeError("an unknown encoder")
    return dumps


def _fast_decoder() -> "Callable[[str], Any]":
    from _json import make_scanner  # noqa: PLC0415

    scan = make_scanner(_ScannerSettings)  # type: ignore[arg-type]  # typeshed does not know what it reads

    def loads(text: str) -> "Any":
        text = text.strip()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        return value if end == len(text) else _slow_loads(text)  # which says what is wrong

    if loads(' {"a": [1.5, null]} ') != {"a": [1.5, None]}:
        raise TypeError("an unknown scanner")
    return loads


def _plain(value: "Any") -> "Any":
    from nni.common.plain import plain  # noqa: PLC0415  (most trials report numbers)

    return plain(value)


def _slow_dumps(value: "Any") -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, default=_plain, separators=(",", ":"))


def _slow_loads(text: str) -> "Any":
    import json  # noqa: PLC0415

    return json.loads(text)


def encoder() -> "Callable[[Any], str]":
    """Return a function that writes compact JSON; NaN and infinities as Python's json writes them."""
    try:
        return _fast_encoder()
    except (ImportError, TypeError, AttributeError):
        return _slow_dumps


def decoder() -> "Callable[[str], Any]":
    """Return a function that reads JSON."""
    try:
        return _fast_decoder()
    except (ImportError, TypeError, AttributeError):
        return _slow_loads
