"""Documented helpers for trial code and for algorithms (``nni.utils``). Standard library only."""

from __future__ import annotations

from enum import Enum

from nni.common.errors import NniError

TYPE_CHECKING = False  # trial code imports this module: typing would cost it some milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    from nni.algorithms import ClassArgsValidator
    from nni.runtime.protocol import MetricType

    Base = TypeVar("Base")

__all__ = [
    "ClassArgsValidator",
    "MetricError",
    "MetricType",
    "OptimizeMode",
    "extract_scalar_reward",
    "merge_parameter",
]


class OptimizeMode(Enum):
    """Whether a larger or a smaller metric is better; constructible from the ``optimize_mode`` of a config."""

    Minimize = "minimize"
    Maximize = "maximize"


class MetricError(NniError, ValueError):
    """A reported metric that is neither a number nor a dict with a number under the key (HPO-445)."""


def extract_scalar_reward(value: Any, scalar_key: str = "default") -> float:
    """
    Return the number in a reported metric (HPO-011).

    Parameters
    ----------
    value
        A number, or a dict with a number under `scalar_key`; NaN and infinities are numbers.
    scalar_key
        Default: ``default``.

    Raises
    ------
    MetricError
        For anything else, a boolean or a text included.

    Examples
    --------
    >>> extract_scalar_reward({"default": 0.93, "loss": 0.2})
    0.93
    """
    if isinstance(value, dict):
        if scalar_key not in value:
            raise MetricError(f"metric: expected a number under the key {scalar_key!r}, got {_keys(value)}")
        return _number(value[scalar_key], f"metric[{scalar_key!r}]: expected a number")
    return _number(value, f"metric: expected a number or a dict with the key {scalar_key!r}")


def merge_parameter(base_params: Base, override_params: dict[str, Any] | None) -> Base:
    """
    Update default parameters, such as parsed command line arguments, with those of the trial (HPO-008).

    Parameters
    ----------
    base_params
        A namespace or a dict; updated in place.
    override_params
        What :func:`nni.get_next_parameter` returned. None, and the empty dict of the standalone mode, change nothing.

    Returns
    -------
    namespace or dict
        `base_params` itself, for convenience.

    Raises
    ------
    ValueError
        If a name is unknown to `base_params`; the text names the nearest ones.
    TypeError
        If a value has another type than the default it replaces. A default of None takes anything, an integer
        serves where a float is expected, a whole float such as 32.0 (``quniform``) becomes an int where an int is
        expected, and a list a tuple, which JSON does not know. After an error nothing has been changed.

    Examples
    --------
    >>> merge_parameter({"lr": 0.1, "batch_size": 32}, {"batch_size": 64.0})
    {'lr': 0.1, 'batch_size': 64}
    """
    if override_params is None:
        return base_params
    current: Any = base_params if isinstance(base_params, dict) else getattr(base_params, "__dict__", None)
    if current is None:
        raise TypeError(f"base_params: expected a namespace or a dict, got a {type(base_params).__name__}")
    if not isinstance(override_params, dict):
        raise TypeError(f"override_params: expected a dict or None, got a {type(override_params).__name__}")
    merged = {name: _merged(name, value, current) for name, value in override_params.items()}
    current.update(merged)
    return base_params


def _merged(name: str, value: Any, current: dict[str, Any]) -> Any:
    if name not in current:
        raise ValueError(f"override_params[{name!r}]: base_params has no such parameter{_nearest(name, current)}")
    default = current[name]
    if default is None or (isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)):
        return value
    if type(default) is float and type(value) is int:
        return float(value)
    if type(default) is int and type(value) is float and value.is_integer():
        return int(value)
    if type(default) is tuple and type(value) is list:
        return tuple(value)
    raise TypeError(
        f"override_params[{name!r}]: expected {type(default).__name__} as in base_params ({default!r:.60}), "
        f"got {type(value).__name__} ({value!r:.60})"
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only an error needs it

    names = [str(one) for one in known]
    near = difflib.get_close_matches(str(name), names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it has {', '.join(names)}" if names else "; it is empty"


def _number(value: Any, expected: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise MetricError(f"{expected}, got an integer that is too large for one") from None
    raise MetricError(f"{expected}, got {value!r:.80}")


def _keys(value: dict[str, Any]) -> str:
    return f"the keys {', '.join(map(repr, value))}" if value else "an empty dict"


def __getattr__(name: str) -> Any:
    if name == "MetricType":
        from nni.runtime.protocol import MetricType  # noqa: PLC0415 - the dispatcher's part, not for trials

        return MetricType
    if name == "ClassArgsValidator":
        from nni.algorithms import ClassArgsValidator  # noqa: PLC0415 - as above

        return ClassArgsValidator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
