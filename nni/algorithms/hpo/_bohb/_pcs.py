"""Search spaces in the format "pcs new" (HPO-350), as written by ConfigSpace and SMAC.

A file has one statement a line; ``#`` begins a comment::

    optimizer categorical {adam, sgd} [adam]
    lr real [0.0001, 0.1] [0.001] log
    layers integer [1, 5] [2]
    momentum real [0, 1] [0.9]
    momentum | optimizer in {sgd}
    {optimizer=adam, layers=5}

A conditional parameter becomes a variable of a nested choice; what trials get stays flat, as in the file.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.search_space import Choice, SearchSpace, SearchSpaceError, Uniform, parse

_OPTIONS = re.compile(r"(\S+)\s+(?:categorical|ordinal)\s*\{([^}]*)\}\s*(?:\[[^\]]*\])?")
_NUMBER = re.compile(r"(\S+)\s+(integer|real)\s*\[([^,\]]+),([^\]]+)\]\s*(?:\[[^\]]*\])?\s*(log)?")
_CONDITION = re.compile(r"(\S+)\s*\|\s*(\S+)\s+(?:in\s*\{([^}]*)\}|==\s*([^\s&|]+))")
_FORBIDDEN = re.compile(r"\{([^}]*)\}")

_KINDS = (
    "a categorical, ordinal, integer or real parameter, a condition 'child | parent in {a, b}' or '== a', or {a=1, b=2}"
)


class PcsError(NniError):
    """A file that is not in the format, or says what cannot be searched."""

    fatal = True  # nothing can be suggested without it, whichever message is being handled


class PcsSpace:
    """A search space from a file.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    raw
        The search space as users of this package write it, conditional parameters nested.

    Raises
    ------
    PcsError
        Naming file and line.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._where: dict[str, int] = {}  # lines, by parameter
        self._entries: dict[str, dict[str, Any]] = {}
        self._conditions: dict[str, tuple[str, list[str]]] = {}
        self._forbidden: list[dict[str, str]] = []
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PcsError(f"config_space: cannot read {self._path}: {error}") from error
        for number, line in enumerate(lines, start=1):
            if text := line.partition("#")[0].strip():
                self._read(text, number)
        self.raw = self._nested()
        try:
            self._space = parse(self.raw)
        except SearchSpaceError as error:
            raise PcsError(f"{self._path}: {error}") from None

    def allows(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether no forbidden clause of the file rules parameters out."""
        return not any(
            all(name in parameters and _is(parameters[name], value) for name, value in clause.items())
            for clause in self._forbidden
        )

    def to_parameters(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration as trials get it: flat, without the parameters that are not active."""
        return _flat(self._space, configuration)

    def to_configuration(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as a configuration of the nested space.

        Raises
        ------
        SearchSpaceError
            For a parameter that is missing, unknown, or not active.
        """
        configuration = _nest(self._space, parameters)
        if surplus := parameters.keys() - _flat(self._space, configuration).keys():
            raise SearchSpaceError(
                f"parameter.{min(surplus)}", "not a parameter, or not an active one, of config_space"
            )
        return configuration

    def _read(self, text: str, line: int) -> None:
        if found := _OPTIONS.fullmatch(text):
            self._define(found[1], {"_type": "choice", "_value": _listed(found[2])}, line)
        elif found := _NUMBER.fullmatch(text):
            self._define(found[1], self._number(found, line), line)
        elif found := _CONDITION.fullmatch(text):
            if found[1] in self._conditions:
                self._fail(line, f"{found[1]!r} has a second condition; one parent for each parameter is supported")
            self._conditions[found[1]] = (found[2], _listed(found[3] or found[4]))
            self._where.setdefault(f"|{found[1]}", line)
        elif found := _FORBIDDEN.fullmatch(text):
            clause = [pair.partition("=") for pair in _listed(found[1])]
            self._forbidden.append({name.strip(): value.strip() for name, _, value in clause})
        else:
            self._fail(line, f"expected {_KINDS}; got {text!r}")

    def _define(self, name: str, entry: dict[str, Any], line: int) -> None:
        if name in self._entries:
            self._fail(line, f"{name!r} is defined on line {self._where[name]} already")
        self._entries[name], self._where[name] = entry, line

    def _number(self, found: re.Match[str], line: int) -> dict[str, Any]:
        try:
            low, high = float(found[3]), float(found[4])
        except ValueError:
            self._fail(line, f"expected two numbers, got [{found[3]},{found[4]}]")
        if found[2] == "real":
            return {"_type": "loguniform" if found[5] else "uniform", "_value": [low, high]}
        if low != math.floor(low) or high != math.floor(high):
            self._fail(line, f"expected two integers, got [{found[3]},{found[4]}]")
        if found[5]:
            return {"_type": "qloguniform", "_value": [low, high, 1]}
        return {"_type": "randint", "_value": [int(low), int(high) + 1]}

    def _nested(self) -> dict[str, Any]:
        children: dict[tuple[str, str], list[str]] = defaultdict(list)
        for child, (parent, values) in self._conditions.items():
            line = self._where[f"|{child}"]
            for name in (child, parent):
                if name not in self._entries:
                    self._fail(line, f"there is no parameter {name!r}")
            options = self._entries[parent]["_value"] if self._entries[parent]["_type"] == "choice" else []
            for value in values:
                if value not in options:
                    self._fail(line, f"{value!r} is no option of {parent!r}; only options can be conditions")
                children[parent, value].append(child)
        placed: set[str] = set()
        top = [name for name in self._entries if name not in self._conditions]
        raw = {name: self._entry(name, children, placed) for name in top}
        for name in self._entries:
            if name not in placed:
                self._fail(self._where[name], f"the conditions of {name!r} go round in a circle")
        return raw

    def _entry(self, name: str, children: dict[tuple[str, str], list[str]], placed: set[str]) -> dict[str, Any]:
        placed.add(name)
        entry = self._entries[name]
        options = entry["_value"]
        if entry["_type"] != "choice" or not any((name, option) in children for option in options):
            return entry
        nested = [
            {
                "_name": option,
                **{child: self._entry(child, children, placed) for child in children.get((name, option), [])},
            }
            for option in options
        ]
        return {"_type": "choice", "_value": nested}

    def _fail(self, line: int, problem: str) -> Any:
        raise PcsError(f"{self._path}:{line}: {problem}")


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _is(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    try:
        return math.isclose(float(text), value)
    except ValueError:
        return False


def _flat(space: SearchSpace, configuration: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, parameter in space.items():
        value = configuration[name]
        if isinstance(parameter, Choice) and parameter.branches:
            flat[name] = value["_name"]
            flat |= _flat(parameter.branches[parameter.index_of(value) or 0], value)
        else:
            whole = isinstance(parameter, Uniform) and parameter.q is not None
            flat[name] = int(value) if whole else value
    return flat


def _nest(space: SearchSpace, parameters: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, parameter in space.items():
        if name not in parameters:
            raise SearchSpaceError(f"parameter.{name}", "missing; it is an active parameter of config_space")
        nested[name] = parameters[name]
        if isinstance(parameter, Choice) and parameter.branches:
            option = parameter.index_of({"_name": parameters[name]})
            if option is None:
                raise SearchSpaceError(f"parameter.{name}", f"{parameters[name]!r} is none of its options")
            nested[name] = {"_name": parameters[name], **_nest(parameter.branches[option], parameters)}
    return nested
