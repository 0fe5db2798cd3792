"""From a sampling expression to an entry of the search space, and to the code that stands for its value.

Where the options of a choice are plain constants, they are the values of the entry. Otherwise its values are their
source texts, as people will see them (HPO-101), and the code evaluates the one that was chosen and no other. An option
with a sampling expression inside makes the choice a nested one (HPO-098).
"""

from __future__ import annotations

import ast
import copy
import difflib
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from nni.annotation._errors import MisannotationError

RUNTIME = "__nni__"  # the name under which rewritten code knows nni.trial.annotated
_NAME = "_name"

_RANGES = {
    "randint": ("lower", "upper"),
    "uniform": ("low", "high"),
    "quniform": ("low", "high", "q"),
    "loguniform": ("low", "high"),
    "qloguniform": ("low", "high", "q"),
    "normal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "lognormal": ("mu", "sigma"),
    "qlognormal": ("mu", "sigma", "q"),
}
SAMPLERS = ("choice", *_RANGES)

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST_POWER = 1024

Path = tuple[str, ...]


class Sampled(NamedTuple):
    """A sampling expression that was understood.

    Attributes
    ----------
    entry
        As in a search space: ``{"_type": ..., "_value": ...}``.
    code
        Gives the expression of its value, from the keys that lead to it in a configuration.
    """

    entry: dict[str, Any]
    code: Callable[[Path], str]


def sampled(node: ast.expr) -> Sampled:
    """Return what a sampling expression means, such as ``nni.uniform(0, 1)``."""
    name = sampler_name(node)
    if name is None or not isinstance(node, ast.Call):
        raise MisannotationError(f"expected {_some(SAMPLERS)} of nni, such as nni.choice(1, 2), got {_text(node)}")
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, 1)
        hint = f"did you mean nni.{near[0]}?" if near else f"there are {', '.join(SAMPLERS)}"
        raise MisannotationError(f"there is no nni.{name} to sample with; {hint}")
    if name == "choice":
        return _choice(node)
    entry = {"_type": name, "_value": _numbers(node, name, _RANGES[name])}
    return Sampled(entry, _value)


def sampler_name(node: ast.expr) -> str | None:
    """Return ``uniform`` of ``nni.uniform(...)``; None of anything that is no call of a function of nni."""
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "nni":
        return called.attr
    return None


def one_of(options: list[ast.expr]) -> Sampled:
    """Return the choice between expressions, each evaluated only when it is chosen."""
    texts = [_text(option) for option in options]
    if twice := next((text for place, text in enumerate(texts) if text in texts[:place]), None):
        raise MisannotationError(f"two options are the same: {twice}")
    nested = [_Nested(option) for option in options]
    if any(option.space for option in nested):
        values: list[Any] = [{_NAME: text, **option.space} for text, option in zip(texts, nested, strict=True)]
        chosen = "name"
    else:
        values, chosen = list(texts), "value"

    def code(path: Path) -> str:
        which = _access(chosen, path)
        cases = [f"{option.code(path)} if {which} == {text!r}" for text, option in zip(texts, nested, strict=True)]
        return f"({' else '.join([*cases, _access('unknown', path)])})"

    return Sampled({"_type": "choice", "_value": values}, code)


def _choice(node: ast.Call) -> Sampled:
    if node.keywords:
        raise MisannotationError(f"nni.choice takes its options without names, got {node.keywords[0].arg}=")
    options = node.args
    if len(options) == 1 and isinstance(options[0], (ast.List, ast.Tuple)):  # "which should be a list" (L17674)
        options = options[0].elts
    if not options:
        raise MisannotationError("nni.choice needs at least one option")
    if any(isinstance(option, ast.Starred) for option in options):
        raise MisannotationError("nni.choice needs its options written out, got one with a star")
    values = [_constant(option) for option in options]
    if any(value is _NO_CONSTANT for value in values):
        return one_of(options)
    return Sampled({"_type": "choice", "_value": values}, _value)


class _Nested:
    """An option, and the sampling expressions inside it."""

    def __init__(self, option: ast.expr) -> None:
        self._option = option
        self._inside: dict[str, tuple[ast.expr, Sampled]] = {}
        self._look(option)
        self.space = {name: inner.entry for name, (_, inner) in self._inside.items()}

    def code(self, path: Path) -> str:
        """Return the option with every sampling expression replaced by the code of its value."""
        codes = {id(node): inner.code((*path, name)) for name, (node, inner) in self._inside.items()}
        memo: dict[int, Any] = {number: ast.parse(code, mode="eval").body for number, code in codes.items()}
        return f"({ast.unparse(copy.deepcopy(self._option, memo))})"

    def _look(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr) and sampler_name(node) in SAMPLERS:
            text, number = _text(node), 2
            while text in self._inside:
                text, number = f"{_text(node)} #{number}", number + 1
            self._inside[text] = node, sampled(node)
            return
        for child in ast.iter_child_nodes(node):
            self._look(child)


def _value(path: Path) -> str:
    return _access("value", path)


def _access(function: str, path: Path) -> str:
    return f"{RUNTIME}.{function}({', '.join(map(repr, path))})"


def _numbers(node: ast.Call, name: str, expected: tuple[str, ...]) -> list[float]:
    given: dict[str, ast.expr] = dict(zip(expected, node.args, strict=False))
    form = f"nni.{name}({', '.join(expected)})"
    for keyword in node.keywords:
        if keyword.arg not in expected or keyword.arg in given:
            raise MisannotationError(f"expected {form}, got {_text(node)}")
        given[keyword.arg] = keyword.value
    if len(node.args) > len(expected) or len(given) < len(expected):
        raise MisannotationError(f"expected {form}, got {_text(node)}")
    return [_number(given[argument], form, argument) for argument in expected]


def _number(node: ast.expr, form: str, argument: str) -> float:
    value = _constant(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MisannotationError(f"{form}: {argument} must be a number that is written out, got {_text(node)}")
    return value


_NO_CONSTANT = object()


def _constant(node: ast.expr) -> Any:
    """Return the value of a constant that JSON gives back unchanged: a number, text, a boolean, None."""
    value: Any = _NO_CONSTANT
    if isinstance(node, ast.Constant):
        value = node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        operand = _constant(node.operand)
        if _is_number(operand):
            value = -operand if isinstance(node.op, ast.USub) else operand
    elif isinstance(node, ast.BinOp):
        value = _computed(node)
    is_plain = value is None or isinstance(value, (bool, int, str)) or (_is_number(value) and math.isfinite(value))
    return value if is_plain else _NO_CONSTANT


def _computed(node: ast.BinOp) -> Any:
    left, right = _constant(node.left), _constant(node.right)
    operation = _OPERATORS.get(type(node.op))
    if operation is None or not _is_number(left) or not _is_number(right):
        return _NO_CONSTANT
    if isinstance(node.op, ast.Pow) and (abs(right) > _LARGEST_POWER or abs(left) > _LARGEST_POWER):
        return _NO_CONSTANT
    try:
        return operation(left, right)
    except (ArithmeticError, ValueError):
        return _NO_CONSTANT


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _some(names: tuple[str, ...]) -> str:
    return f"one of the {len(names)} sampling functions"
