"""What converted annotations call (HPO-090 … HPO-094). Standard library only, as everything a trial imports."""

from __future__ import annotations

from nni import trial as api
from nni.common.errors import NniError
from nni.trial import report_final_result, report_intermediate_result

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["get_next_parameter", "name", "report_final_result", "report_intermediate_result", "unknown", "value"]


def get_next_parameter() -> Any:
    """Return the trial's configuration, however often it is asked for."""
    configuration = api.get_current_parameter()
    return api.get_next_parameter() if configuration is None else configuration


def value(*path: str) -> Any:
    """Return the value of a variable; of a nested one, by the keys that lead to it."""
    found = get_next_parameter()
    for key in path:
        try:
            found = found[key]
        except (KeyError, TypeError):
            raise NniError(
                f"the configuration of this trial has no value for the annotated {'/'.join(path)}; converted code runs "
                "as a trial of an experiment with useAnnotation, the original runs without one"
            ) from None
    return found


def name(*path: str) -> Any:
    """Return which option of a nested choice was chosen."""
    return value(*path, "_name")


def unknown(*path: str) -> NoReturn:
    """Raise, because what was chosen is none of the options in the code."""
    raise NniError(f"{'/'.join(path)}: {value(*path)!r} is none of the annotated options")
