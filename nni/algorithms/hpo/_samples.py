"""Reading imported results (HPO-410)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_logger = logging.getLogger(__name__)


def samples(data: Iterable[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield ``(where, parameter, value)`` of every sample; what is no sample is skipped with a warning.

    Parameters
    ----------
    data
        Objects with at least the keys ``parameter`` and ``value``.
    """
    for number, item in enumerate(data):
        where = f"data[{number}]"
        if isinstance(item, Mapping) and "parameter" in item and "value" in item:
            yield where, item["parameter"], item["value"]
        else:
            _logger.warning("import: skipped: %s has no 'parameter' and 'value': %.200r", where, item)
