"""From JSON to a typed search space; every fault is named with its path (HPO-056, HPO-457)."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice, Custom, Normal, Parameter, RandInt, Uniform, is_number
from nni.search_space._space import ROOT, SearchSpace

BATCH_KEY = "combine_params"  # the one space whose options are plain configurations (HPO-060)
_EXACT_INTEGERS = 2**53  # above it, floats no longer tell neighbouring multiples of q apart
_INT64 = 2**63


def parse(raw: Any, *, allow_custom: bool = False) -> SearchSpace:
    """Turn a search space as users write it into typed, immutable parameters.

    Parameters
    ----------
    raw
        ``{name: {"_type": ..., "_value": ...}}`` as it comes out of JSON or YAML, or an already parsed space.
    allow_custom
        Keep entries with an unknown ``_type`` (or none at all) as :class:`Custom` instead of refusing them; for
        custom tuners, which may define types of their own (HPO-057).

    Raises
    ------
    SearchSpaceError
        For the first fault found; its text starts with the path of the fault.

    Examples
    --------
    >>> parse({"lr": {"_type": "loguniform", "_value": ["1e-5", 0.1]}})["lr"].low
    1e-05
    """
    if isinstance(raw, SearchSpace):
        return raw
    try:
        return _parse_space(raw, ROOT, allow_custom=allow_custom)
    except RecursionError:
        raise SearchSpaceError(ROOT, "choices are nested too deeply") from None


def _parse_space(raw: Any, path: str, *, allow_custom: bool) -> SearchSpace:
    if not isinstance(raw, Mapping):
        raise SearchSpaceError(path, f"expected an object of variables, got {_show(raw)}")
    parameters: dict[str, Parameter] = {}
    for name, entry in raw.items():
        if name == "_name" and path != ROOT:
            continue
        if not isinstance(name, str):
            raise SearchSpaceError(path, f"names of variables must be strings, got {_show(name)}")
        parameters[name] = _parse_parameter(name, entry, f"{path}.{name}", allow_custom=allow_custom)
    return SearchSpace(parameters, path)


def _parse_parameter(name: str, entry: Any, path: str, *, allow_custom: bool) -> Parameter:
    kind = entry.get("_type") if isinstance(entry, Mapping) else None
    if isinstance(kind, str) and kind in _PARSERS:
        if "_value" not in entry:
            raise SearchSpaceError(path, _without_value(entry, kind))
        if kind == "choice":
            return _parse_choice(name, entry["_value"], path, allow_custom=allow_custom)
        return _PARSERS[kind](name, entry["_value"], path)
    if allow_custom:
        return Custom(name, path, str(kind), entry)
    raise SearchSpaceError(*_unknown_entry(entry, path))


def _without_value(entry: Mapping[str, Any], kind: str) -> str:
    others = ", ".join(f"`{key}`" for key in entry if key != "_type")
    got = f" (it has {others})" if others else ""
    return f"`_value` is missing{got}; {kind} expects `_value`: {_FORMS[kind]}"


def _unknown_entry(entry: Any, path: str) -> tuple[str, str]:
    example = '{"_type": "choice", "_value": [1, 2, 3]}'
    if not isinstance(entry, Mapping):
        return path, f"expected an object such as {example}, got {_show(entry)}"
    if "_type" not in entry:
        return path, f"`_type` is missing; expected an object such as {example}"
    near = difflib.get_close_matches(str(entry["_type"]).lower(), _PARSERS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known types are {', '.join(_PARSERS)}"
    return f"{path}._type", f"unknown type {_show(entry['_type'])}; {hint}"


# ------------------------------------------------------------------------------------------------ choice


def _parse_choice(name: str, raw: Any, path: str, *, allow_custom: bool = False) -> Choice:
    where = f"{path}._value"
    if not isinstance(raw, (list, tuple)):
        raise SearchSpaceError(where, f"expected a list of options, got {_show(raw)}")
    if not raw:
        raise SearchSpaceError(where, "expected at least one option, got an empty list")
    if (name == BATCH_KEY and path == f"{ROOT}.{BATCH_KEY}") or not any(isinstance(option, Mapping) for option in raw):
        return Choice(name, path, tuple(raw))
    return Choice(name, path, tuple(raw), _parse_branches(raw, where, allow_custom=allow_custom))


def _parse_branches(raw: list[Any] | tuple[Any, ...], where: str, *, allow_custom: bool) -> dict[int, SearchSpace]:
    branches: dict[int, SearchSpace] = {}
    first_with: dict[str, int] = {}
    some_named = any(isinstance(option, Mapping) and "_name" in option for option in raw)
    for index, option in enumerate(raw):
        at = f"{where}[{index}]"
        if not isinstance(option, Mapping):
            continue
        if "_name" not in option:
            _check_plain_object(option, at, some_named=some_named)
            continue
        label = _branch_name(option["_name"], f"{at}._name")
        if first_with.setdefault(label, index) != index:
            raise SearchSpaceError(f"{at}._name", f"{label!r} is already the name of option {first_with[label]}")
        branches[index] = _parse_space(option, at, allow_custom=allow_custom)
    return branches


def _branch_name(label: Any, where: str) -> str:
    if not isinstance(label, str) or not label:
        raise SearchSpaceError(where, f"expected a non-empty string, got {_show(label)}")
    return label


def _check_plain_object(option: Mapping[str, Any], at: str, *, some_named: bool) -> None:
    """Refuse an object that is meant as a sub-space; any other is an option like any JSON value."""
    if some_named or any(isinstance(entry, Mapping) and "_type" in entry for entry in option.values()):
        raise SearchSpaceError(at, "`_name` is missing: every nested option needs one, to tell which option was chosen")


# ------------------------------------------------------------------------------------------------ numbers


def _numbers(raw: Any, path: str, kind: str) -> list[float | int]:
    where, form = f"{path}._value", _FORMS[kind]
    if not isinstance(raw, (list, tuple)):
        raise SearchSpaceError(where, f"{kind} expects {form}, got {_show(raw)}")
    expected = form.count(",") + 1
    if len(raw) != expected:
        legacy = f" (NNI 0.x wrote that for what is [0, {raw[0]}] now)" if (kind, len(raw)) == ("randint", 1) else ""
        raise SearchSpaceError(where, f"{kind} expects {form}, got {len(raw)} values: {_show(raw)}{legacy}")
    return [_number(item, f"{where}[{index}]", kind) for index, item in enumerate(raw)]


def _number(item: Any, where: str, kind: str) -> float | int:
    """Read a number; YAML 1.1 loaders leave ``1e-5`` a string (X-32, HPO-056)."""
    value = item
    if isinstance(item, str):
        try:
            value = float(item)
        except ValueError:
            value = None
    if not is_number(value):
        raise SearchSpaceError(where, f"{kind} expects {_FORMS[kind]} of finite numbers, got {_show(item)}")
    return value  # type: ignore[no-any-return]  # is_number has just said what it is


def _parse_randint(name: str, raw: Any, path: str) -> RandInt:
    low, high = _numbers(raw, path, "randint")
    for index, value in enumerate((low, high)):
        if value != int(value) or not -_INT64 <= value < _INT64:
            raise SearchSpaceError(f"{path}._value[{index}]", f"expected an integer of 64 bits, got {_show(value)}")
    if low >= high:
        raise SearchSpaceError(
            f"{path}._value", f"lower must be less than upper (upper is exclusive), got [{_show(low)}, {_show(high)}]"
        )
    return RandInt(name, path, int(low), int(high))


def _uniform_parser(kind: str, *, log: bool) -> Callable[[str, Any, str], Uniform]:
    def build(name: str, raw: Any, path: str) -> Uniform:
        low, high, *rest = map(float, _numbers(raw, path, kind))
        q = _step(rest, path, kind)
        if low > high:
            raise SearchSpaceError(f"{path}._value", f"low must not exceed high, got low {low:g} and high {high:g}")
        if log and low <= 0:
            raise SearchSpaceError(f"{path}._value[0]", f"low must be positive for {kind}, got {low:g}")
        if high - low > sys.float_info.max:
            raise SearchSpaceError(f"{path}._value", "the range is too wide for floating-point numbers")
        if q is not None and max(abs(low), abs(high)) / q > _EXACT_INTEGERS:
            raise SearchSpaceError(f"{path}._value[2]", f"q = {q:g} is too small for numbers as large as the bounds")
        return Uniform(name, path, log, q, low, high)

    return build


def _normal_parser(kind: str, *, log: bool) -> Callable[[str, Any, str], Normal]:
    def build(name: str, raw: Any, path: str) -> Normal:
        mu, sigma, *rest = map(float, _numbers(raw, path, kind))
        if sigma <= 0:
            raise SearchSpaceError(f"{path}._value[1]", f"sigma must be positive, got {sigma:g}")
        if log and mu > math.log(sys.float_info.max):
            raise SearchSpaceError(f"{path}._value[0]", f"mu is that of the logarithm; exp({mu:g}) is not a number")
        return Normal(name, path, log, _step(rest, path, kind), mu, sigma)

    return build


def _step(rest: list[float], path: str, kind: str) -> float | None:
    if not rest:
        return None
    if rest[0] <= 0:
        raise SearchSpaceError(f"{path}._value[2]", f"q must be positive for {kind}, got {rest[0]:g}")
    return rest[0]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_FORMS = {
    "choice": "a list of options",
    "randint": "[lower, upper]",
    "uniform": "[low, high]",
    "quniform": "[low, high, q]",
    "loguniform": "[low, high]",
    "qloguniform": "[low, high, q]",
    "normal": "[mu, sigma]",
    "qnormal": "[mu, sigma, q]",
    "lognormal": "[mu, sigma]",
    "qlognormal": "[mu, sigma, q]",
}
_PARSERS: dict[str, Callable[[str, Any, str], Parameter]] = {
    "choice": _parse_choice,
    "randint": _parse_randint,
    "uniform": _uniform_parser("uniform", log=False),
    "quniform": _uniform_parser("quniform", log=False),
    "loguniform": _uniform_parser("loguniform", log=True),
    "qloguniform": _uniform_parser("qloguniform", log=True),
    "normal": _normal_parser("normal", log=False),
    "qnormal": _normal_parser("qnormal", log=False),
    "lognormal": _normal_parser("lognormal", log=True),
    "qlognormal": _normal_parser("qlognormal", log=True),
}
TYPES = tuple(_PARSERS)
