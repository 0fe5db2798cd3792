"""Parameter sets on their way to the trials: their ids, and what JSON cannot carry."""

from __future__ import annotations

import threading
from typing import Any

from nni.common.plain import plain
from nni.runtime._failure import AlgorithmError
from nni.runtime.protocol import CommandType, send


class ParameterIds:
    """Allocates unique ids in ascending order, from any thread (HPO-119)."""

    def __init__(self) -> None:
        self._next = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> list[int]:
        """Return `count` ids that were never returned before."""
        with self._lock:
            first = self._next
            self._next += count
        return list(range(first, first + count))

    def start_at(self, first: int) -> None:
        """Return only ids of at least `first` from now on."""
        with self._lock:
            self._next = max(self._next, first)


def send_new_trial(owner: str, parameter_id: int, parameters: Any, source: str, **more: Any) -> None:
    """Send a ``NewTrialJob``.

    Parameters
    ----------
    owner
        The class that made the parameters; an error names it.
    parameter_id, parameters, source, **more
        Fields of the message.

    Raises
    ------
    AlgorithmError
        Fatal, where JSON cannot carry the parameters: the trial could not get what the tuner meant (HPO-012).
    """
    job = {"parameter_id": parameter_id, "parameters": parameters, "parameter_source": source, **more}
    try:
        send(CommandType.NewTrialJob, job)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        fault = find_fault(parameters) or str(error)
        message = f"{owner} returned parameters that cannot be sent to a trial as JSON: {fault}"
        raise AlgorithmError(f"{message} (parameter {parameter_id})", fatal=True) from error


def find_fault(value: Any, path: str = "parameters", above: tuple[int, ...] = ()) -> str | None:
    """Return where and why JSON cannot carry `value`, None if it can."""
    if id(value) in above:
        return f"{path} contains itself"
    if isinstance(value, dict):
        return _fault_in_dict(value, path, (*above, id(value)))
    if isinstance(value, (list, tuple)):
        items = (find_fault(item, f"{path}[{i}]", (*above, id(value))) for i, item in enumerate(value))
        return next(filter(None, items), None)
    if value is None or isinstance(value, (bool, int, float, str)):
        return None
    try:
        return find_fault(plain(value), path, (*above, id(value)))
    except TypeError:
        return f"{path} is a {type(value).__module__}.{type(value).__qualname__}, {value!r:.80}"


def _fault_in_dict(value: dict[Any, Any], path: str, above: tuple[int, ...]) -> str | None:
    for key, item in value.items():
        if not (key is None or isinstance(key, (str, int, float))):
            return f"{path} has the key {key!r:.80}, a {type(key).__qualname__}, where text is needed"
        if fault := find_fault(item, f"{path}.{key}", above):
            return fault
    return None


def find_renamed_key(value: Any, path: str = "parameters") -> str | None:
    """Return the path of the first key that JSON turns into text: ``{1: …}`` arrives as ``{"1": …}``."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path}[{key!r}]"
            if found := find_renamed_key(item, f"{path}.{key}"):
                return found
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if isinstance(item, (dict, list, tuple)) and (found := find_renamed_key(item, f"{path}[{index}]")):
                return found
    return None
