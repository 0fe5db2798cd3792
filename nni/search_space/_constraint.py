"""Constraints between variables: expressions that a configuration must satisfy, evaluated without ``eval``."""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Mapping
from typing import Any

from nni.search_space._errors import SearchSpaceError
from nni.search_space._parameters import Choice
from nni.search_space._space import SearchSpace

_MOST_NODES = 500
_LARGEST_POWER = 1000
_LONGEST_RESULT = 10_000  # digits of an integer, characters of a text

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "round": round}
_LEAVES = (ast.Constant, ast.Name, ast.Tuple, ast.List, ast.BoolOp, ast.Compare, ast.BinOp, ast.UnaryOp, ast.IfExp)


class _InactiveError(Exception):
    """The expression speaks of a variable that the configuration has not."""


class Constraint:
    """A condition on a configuration, as a Python expression over the names of variables.

    Arithmetic, comparisons, ``and``, ``or``, ``not``, ``in``, ``a if b else c``, and ``abs``, ``min``, ``max``,
    ``round``. A variable of a nested choice is written with dots (``layer.kernel``); the choice itself compares with
    the ``_name`` of its option. ``parameters["a-b"]`` stands for a name that is no Python name. A constraint that
    speaks of a variable that is not active in a configuration is satisfied by it.

    Parameters
    ----------
    expression
        The expression.

    Raises
    ------
    SearchSpaceError
        If it is no expression of that kind.

    Examples
    --------
    >>> low = Constraint("batch * width <= 4096")
    >>> low({"batch": 16, "width": 128}), low({"batch": 64, "width": 128})
    (True, False)
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        try:
            tree = ast.parse(expression.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problem = getattr(error, "msg", None) or str(error)
            raise self._fault(f"no Python expression: {problem}") from None
        nodes = list(ast.walk(tree))
        if len(nodes) > _MOST_NODES:
            raise self._fault(f"too long: more than {_MOST_NODES} parts")
        self._body = tree.body
        self.names: list[tuple[str, ...]] = []
        self._check(tree.body)

    def __repr__(self) -> str:
        return f"Constraint({self.expression!r})"

    def __call__(self, configuration: Mapping[str, Any]) -> bool:
        """Tell whether a configuration satisfies the constraint.

        Raises
        ------
        SearchSpaceError
            If it cannot be evaluated, for example because it divides by zero or adds a text to a number.
        """
        try:
            return bool(self._value(self._body, configuration))
        except _InactiveError:
            return True
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self._fault(f"cannot be evaluated for {dict(configuration)!r}: {error}") from None

    def check_names(self, space: SearchSpace) -> None:
        """Raise a :class:`SearchSpaceError` if the expression names a variable that the space does not have."""
        for path in self.names:
            here: list[SearchSpace] = [space]
            for depth, name in enumerate(path):
                known = {key for part in here for key in part}
                if name not in known:
                    near = difflib.get_close_matches(name, known, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known)[:10])}"
                    raise self._fault(f"the search space has no variable {'.'.join(path[: depth + 1])!r}{hint}")
                here = [
                    branch
                    for part in here
                    if name in part and isinstance(found := part[name], Choice)
                    for branch in found.branches.values()
                ]

    # ------------------------------------------------------------------------------------------ form

    def _fault(self, problem: str) -> SearchSpaceError:
        return SearchSpaceError(f"constraint {self.expression!r}", problem)

    def _check(self, node: ast.AST) -> None:
        if (path := _path(node)) is not None:
            self.names.append(path)
            return
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
                raise self._fault(f"of functions, only {', '.join(_FUNCTIONS)} can be used")
            children: list[ast.AST] = list(node.args)
        elif isinstance(node, _LEAVES):
            children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        else:
            raise self._fault(f"{type(node).__name__} cannot be used")
        unknown = [
            part
            for part in (*getattr(node, "ops", ()), getattr(node, "op", None))
            if part is not None and type(part) not in {**_BINARY, **_COMPARE, **_UNARY, ast.And: 0, ast.Or: 0}
        ]
        if unknown:
            raise self._fault(f"{type(unknown[0]).__name__} cannot be used")
        for child in children:
            self._check(child)

    # ------------------------------------------------------------------------------------------ value

    def _value(self, node: ast.AST, configuration: Mapping[str, Any]) -> Any:  # noqa: C901, PLR0911  (one line a form)
        def value(part: ast.AST) -> Any:
            return self._value(part, configuration)

        if (path := _path(node)) is not None:
            return _look_up(path, configuration)
        match node:
            case ast.Constant():
                return node.value
            case ast.Tuple() | ast.List():
                return [value(item) for item in node.elts]
            case ast.BoolOp():
                stop = isinstance(node.op, ast.Or)
                return next((True for part in node.values if bool(value(part)) is stop), False) is stop
            case ast.UnaryOp():
                return _UNARY[type(node.op)](value(node.operand))
            case ast.BinOp():
                return _bounded(type(node.op), value(node.left), value(node.right))
            case ast.IfExp():
                return value(node.body) if value(node.test) else value(node.orelse)
            case ast.Call(func=ast.Name(id=name)):
                return _FUNCTIONS[name](*map(value, node.args))
            case ast.Compare():
                return self._comparison(node, configuration)
        raise AssertionError(node)

    def _comparison(self, node: ast.Compare, configuration: Mapping[str, Any]) -> bool:
        left = self._value(node.left, configuration)
        for operation, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part, configuration)
            if not _COMPARE[type(operation)](left, right):
                return False
            left = right
        return True


def _path(node: ast.AST) -> tuple[str, ...] | None:
    """Return the names in ``a.b.c`` or ``parameters["a"].b``, or None for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        above = _path(node.value)
        return None if above is None else (*above, node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        above = _path(node.value)
        return None if above is None else (*(above if above != ("parameters",) else ()), node.slice.value)
    return None


def _look_up(path: tuple[str, ...], configuration: Mapping[str, Any]) -> Any:
    found: Any = configuration
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            raise _InactiveError
        found = found[name]
    return found["_name"] if isinstance(found, Mapping) and "_name" in found else found


def _bounded(operation: type[ast.AST], left: Any, right: Any) -> Any:
    """Compute, unless the result would be beyond what a configuration can be about."""
    if operation is ast.Pow and (abs(right) > _LARGEST_POWER or abs(left) > 10**_LARGEST_POWER):
        raise ValueError("power out of range")
    if operation is ast.Mult and isinstance(left, (str, list)) | isinstance(right, (str, list)):
        raise TypeError("only numbers can be multiplied")
    if operation is ast.Mod and isinstance(left, str):
        raise TypeError("only numbers have a remainder")
    result = _BINARY[operation](left, right)
    if isinstance(result, int) and result.bit_length() > 4 * _LONGEST_RESULT:
        raise ValueError("result out of range")
    return result
