"""What is wrong with a configuration: one fault a line, each with its key path."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PLAIN_KEY = re.compile(r"""[^\s.:\[\]'"\\]{1,80}""")

LARGEST_BITS = 4096
"""Python refuses to write integers of more than 4300 digits (over 14,000 bits); nobody means one of this size."""

PathKey = str | int
KeyPath = tuple[PathKey, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where (key path, camelCase; empty for the whole), what, and in which line."""

    path: KeyPath
    message: str
    place: str | None = None
    """Where it is written, such as ``config.yml:12``; None when it does not come from a file."""

    def at(self, place: str) -> Fault:
        """Return the same fault with its place, unless it has one."""
        return self if self.place else Fault(self.path, self.message, place)

    def __str__(self) -> str:
        parts = [self.place, key_path_text(self.path), self.message]
        return ": ".join(part for part in parts if part)


class ConfigError(NniError):
    """
    A configuration cannot be used.

    Attributes
    ----------
    faults
        All of them, not only the first; ``str()`` gives one line for each.
    """

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: list[Fault] = [faults] if isinstance(faults, Fault) else list(faults)
        super().__init__("\n".join(map(str, self.faults)))


class PlatformNotAvailableError(ConfigError):
    """The configuration is right, but its training service is not part of this version."""


def key_path_text(path: Sequence[PathKey]) -> str:
    """
    Write a key path as users know it.

    Examples
    --------
    >>> key_path_text(("trainingService", "machineList", 0, "port"))
    'trainingService.machineList[0].port'
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            name = key if _PLAIN_KEY.fullmatch(key) else shown(key)
            text += f".{name}" if text else name
    return text


def nearest(name: str, valid: Iterable[str], fallback: str = "expected one of") -> str:
    """Return ``did you mean …?`` if something similar is valid, else the list of what is."""
    names = list(valid)
    by_fold = {candidate.casefold().replace("_", ""): candidate for candidate in names}
    found = difflib.get_close_matches(name.casefold().replace("_", ""), by_fold, n=1, cutoff=0.7)
    if found:
        return f"did you mean '{by_fold[found[0]]}'?"
    return f"{fallback} {', '.join(repr(candidate) for candidate in names)}" if names else "nothing is expected here"


def shown(value: Any) -> str:
    """Write a value briefly, for an error message; containers by their kind only."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple, set)):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return "a number too large to show"
    if not isinstance(value, (str, int, float)):
        return f"the date {value.isoformat()}" if hasattr(value, "isoformat") else f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
