"""JSON as NNI speaks it: numpy values become plain ones, NaN and infinities survive."""

from __future__ import annotations

import json
import math

from nni.common.plain import plain

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from typing import Any


def dumps(value: Any) -> str:
    """Return compact JSON; NaN and infinities are written as Python's json writes them (HPO-013)."""
    return json.dumps(value, default=plain, separators=(",", ":"))


loads = json.loads


def strict(value: Any) -> Any:
    """Return `value` with non-finite floats replaced by ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.

    Browsers refuse the bare literals; every single-encoded REST answer goes through here.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value
