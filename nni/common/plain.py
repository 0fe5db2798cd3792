"""What JSON cannot carry by itself, made plain; without importing json or numpy."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from typing import Any


def plain(value: Any) -> Any:
    """Turn numpy (or torch) scalars and arrays, sets and tuples into what JSON knows.

    For use as ``json.dumps(..., default=plain)`` (HPO-012).
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    raise TypeError(f"a {type(value).__name__} ({value!r:.60}) cannot be written as JSON")
