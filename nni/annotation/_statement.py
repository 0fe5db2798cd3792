"""One annotation: what the text of a string statement says, and what it does to the statement after it."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass

from nni.annotation._errors import MisannotationError
from nni.annotation._sampling import RUNTIME, Sampled, one_of, sampled

MARK = "@nni."
_CALLS = ("get_next_parameter", "report_intermediate_result", "report_final_result")
_TUNED = ("variable", "function_choice")
_IMPORT = f"import nni.trial.annotated as {RUNTIME}"

_MayHoldCalls = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr


@dataclass(frozen=True)
class Call:
    """An annotation that becomes the call of a function of nni at its place."""

    code: str


@dataclass(frozen=True)
class Tuned:
    """An annotation that changes the next statement.

    Attributes
    ----------
    name
        Of the variable or function, as its source text.
    sampled
        Its entry of the search space and its code.
    is_function
        Whether a call is replaced, and not the right-hand side.
    """

    name: str
    sampled: Sampled
    is_function: bool

    @property
    def code(self) -> str:
        """What stands in place of the annotation itself."""
        return _IMPORT

    def targets(self, statement: ast.stmt) -> list[ast.expr]:
        """Return the expressions of a statement that are to be replaced."""
        return self._calls(statement) if self.is_function else [self._right_hand_side(statement)]

    def _right_hand_side(self, statement: ast.stmt) -> ast.expr:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if self.name in map(ast.unparse, targets):
                return statement.value
        raise MisannotationError(
            f"the next statement must be an assignment to {self.name} (name={self.name}), found: {_line(statement)}"
        )

    def _calls(self, statement: ast.stmt) -> list[ast.expr]:
        value = statement.value if isinstance(statement, _MayHoldCalls) else None
        found = list(_calls_of(self.name, value)) if value is not None else []
        if not found:
            raise MisannotationError(
                f"the next statement must be an assignment with a call of {self.name} (name={self.name}), "
                f"found: {_line(statement)}"
            )
        return found


def annotation_text(statement: ast.stmt) -> str | None:
    """Return the text of an annotation, without the ``@``; None if the statement is none."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        text = value.value.strip()
        return text[1:] if text.startswith(MARK) else None
    return None


def parse(text: str) -> Call | Tuned:
    """Return what an annotation says."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, SyntaxError) else str(error)
        raise MisannotationError(f"the annotation is not valid Python: {problem}: @{_shortened(text)}") from None
    called = node.func if isinstance(node, ast.Call) else node
    kind = called.attr if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "nni" else None
    if kind == "get_next_parameter":  # with or without parentheses
        return Call(f"{_IMPORT}; {RUNTIME}.get_next_parameter()")
    if kind not in (*_CALLS, *_TUNED) or not isinstance(node, ast.Call):
        raise MisannotationError(_unknown(kind, text))
    if kind in _CALLS:
        return Call(f"{_IMPORT}; {RUNTIME}.{ast.unparse(node).removeprefix('nni.')}")
    return _variable(node) if kind == "variable" else _function_choice(node)


def _variable(node: ast.Call) -> Tuned:
    form = "@nni.variable(nni.choice(...), name=variable)"
    positional, name = _split(node, form)
    if name is None and len(positional) == 2:
        *positional, name = positional
    if len(positional) != 1 or name is None:
        raise MisannotationError(f"expected {form}, got @{_shortened(ast.unparse(node))}")
    return Tuned(_named(name), sampled(positional[0]), is_function=False)


def _function_choice(node: ast.Call) -> Tuned:
    form = "@nni.function_choice(f(x), g(x), ..., name=f)"
    positional, name = _split(node, form)
    if not positional or name is None:
        raise MisannotationError(f"expected {form}, got @{_shortened(ast.unparse(node))}")
    for candidate in positional:
        if not isinstance(candidate, ast.Call):
            raise MisannotationError(f"every function must be a complete call, got {ast.unparse(candidate)}")
    return Tuned(_named(name), one_of(positional), is_function=True)


def _split(node: ast.Call, form: str) -> tuple[list[ast.expr], ast.expr | None]:
    name = None
    for keyword in node.keywords:
        if keyword.arg != "name" or name is not None:
            raise MisannotationError(f"expected {form}, got {keyword.arg or '**'}= in it")
        name = keyword.value
    return list(node.args), name


def _named(node: ast.expr) -> str:
    """Return a name as it is written in code, also where it was put into quotes."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return ast.unparse(node)
    try:
        return ast.unparse(ast.parse(node.value, mode="eval"))
    except SyntaxError:
        raise MisannotationError(f"name= is not valid Python: {node.value}") from None


def _calls_of(name: str, node: ast.AST) -> list[ast.expr]:
    """Return the calls of a function, but not those within the arguments of another one of them."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
        return [node]
    return [call for child in ast.iter_child_nodes(node) for call in _calls_of(name, child)]


def _unknown(kind: str | None, text: str) -> str:
    known = [f"@nni.{name}" for name in (*_TUNED, *_CALLS)]
    near = difflib.get_close_matches(f"@nni.{kind}", known, 1)
    if near and kind not in (*_TUNED, *_CALLS):
        return f"there is no annotation @nni.{kind}; did you mean {near[0]}?"
    return f"expected one of {', '.join(known)} with arguments in parentheses, got @{_shortened(text)}"


def _line(statement: ast.stmt) -> str:
    return _shortened(ast.unparse(statement).split("\n")[0])


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
