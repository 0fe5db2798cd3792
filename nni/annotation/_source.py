"""One annotated file: finding its annotations, and rewriting it around them (HPO-090 … HPO-096).

The rewritten file differs from the original in the annotations and in what they change, and nowhere else: not a byte
before, between and after. Line numbers stay, so that a traceback of a trial fits the file that people know.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nni.annotation._errors import AnnotationError, MisannotationError, Problem
from nni.annotation._statement import Tuned, annotation_text, parse

_HEAD = 4096  # bytes in which the first two lines are, where an encoding is declared
_END_OF_LINE = re.compile(rb"\r\n|\r|\n")


class Variable(NamedTuple):
    """An entry of the search space that a file wants.

    Attributes
    ----------
    file, line
        Where it is annotated.
    name
        Of the variable or the function.
    entry
        ``{"_type": ..., "_value": ...}``.
    """

    file: str
    line: int
    name: str
    entry: dict[str, Any]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str
    line: int
    tuned: Tuned | None = None  # its code follows once its key in the search space is known


class AnnotatedSource:
    """A file of Python source.

    Parameters
    ----------
    raw
        Its bytes, in whatever encoding it declares.
    file
        Its name for messages and keys.

    Attributes
    ----------
    variables
        In the order of the file.

    Raises
    ------
    AnnotationError
        With everything that is wrong in the file.
    """

    def __init__(self, raw: bytes, file: str) -> None:
        self._file = file
        self._encoding, text = _decoded(raw, file)
        self._text = text.encode()  # columns of the syntax tree count UTF-8 bytes
        self._starts = [0, *(found.end() for found in _END_OF_LINE.finditer(self._text))]
        self._problems: list[Problem] = []
        self._edits: list[_Edit] = []
        self.variables: list[Variable] = []
        self._found: list[tuple[Variable, list[_Edit]]] = []
        self._read(_tree(text, file))
        if self._problems:
            raise AnnotationError(sorted(self._problems, key=lambda problem: _line_of(problem.place)))
        self._found.sort(key=lambda found: found[0].line)
        self.variables = [variable for variable, _ in self._found]

    @property
    def is_annotated(self) -> bool:
        """Whether there is any annotation, be it only one that reports."""
        return bool(self._edits)

    def rewritten(self, keys: Mapping[int, str]) -> bytes:
        """Return the file with its annotations turned into code.

        Parameters
        ----------
        keys
            The name in the search space of every element of :attr:`variables`, by its place there.
        """
        edits = list(self._edits)
        for place, (_, places) in enumerate(self._found):
            for edit in places:
                assert edit.tuned is not None
                edits.append(edit._replace(text=edit.tuned.sampled.code((keys[place],))))
        text, end = [], len(self._text)
        for edit in sorted(edits, reverse=True):
            text.append(self._text[edit.end : end])
            text.append(self._fitted(edit).encode())
            end = edit.start
        text.append(self._text[:end])
        return b"".join(reversed(text)).decode().encode(self._encoding)

    # ------------------------------------------------------------------------------------ reading

    def _read(self, tree: ast.Module) -> None:
        for block in _blocks(tree):
            waiting: list[tuple[ast.stmt, Tuned]] = []
            for statement in block:
                text = annotation_text(statement)
                if text is not None:
                    self._annotation(statement, text, waiting)
                    continue
                for annotation, tuned in waiting:
                    self._apply(annotation, tuned, statement)
                waiting = []
            for annotation, tuned in waiting:
                self._problem(annotation, f"expected an assignment to {tuned.name} after it, but the block ends here")

    def _annotation(self, statement: ast.stmt, text: str, waiting: list[tuple[ast.stmt, Tuned]]) -> None:
        try:
            parsed = parse(text)
        except MisannotationError as error:
            self._problem(statement, str(error))
            return
        self._edits.append(self._edit(statement, parsed.code))
        if isinstance(parsed, Tuned):
            waiting.append((statement, parsed))

    def _apply(self, annotation: ast.stmt, tuned: Tuned, statement: ast.stmt) -> None:
        try:
            targets = tuned.targets(statement)
        except MisannotationError as error:
            self._problem(annotation, str(error))
            return
        edits = [self._edit(target, "")._replace(tuned=tuned) for target in targets]
        taken = [edit for _, others in self._found for edit in others]
        if any(edit.start < other.end and other.start < edit.end for edit in edits for other in taken):
            self._problem(annotation, f"another annotation changes the same part of: {ast.unparse(statement)[:80]}")
            return
        self._found.append((Variable(self._file, annotation.lineno, tuned.name, tuned.sampled.entry), edits))

    def _edit(self, node: ast.stmt | ast.expr, code: str) -> _Edit:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return _Edit(start, self._starts[node.end_lineno - 1] + node.end_col_offset, code, node.lineno)

    def _problem(self, node: ast.stmt, message: str) -> None:
        self._problems.append(Problem(f"{self._file}:{node.lineno}", message))

    # ------------------------------------------------------------------------------------ writing

    def _fitted(self, edit: _Edit) -> str:
        """Return the new text with as many ends of lines as the old one has."""
        ends = "".join(end.decode() for end in _END_OF_LINE.findall(self._text, edit.start, edit.end))
        if not ends:
            return edit.text
        if edit.tuned is not None:  # an expression: within parentheses a line may end anywhere
            return f"({edit.text}{ends})"
        rest = _END_OF_LINE.split(self._text[edit.end :], maxsplit=1)[0].strip()
        return edit.text + (ends if not rest or rest.startswith(b"#") else re.sub(r"(\r\n|\r|\n)", r" \\\1", ends))


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):  # of a conditional expression it is one
                yield block


def _decoded(raw: bytes, file: str) -> tuple[str, str]:
    try:
        head = _END_OF_LINE.sub(b"\n", raw[:_HEAD])
        encoding, _ = tokenize.detect_encoding(io.BytesIO(head).readline)
        return encoding, raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise AnnotationError([Problem(f"{file}:1", f"cannot be read: {error}")]) from None


def _tree(text: str, file: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        problem = f"has annotations, and is not valid Python: {error.msg}"
        raise AnnotationError([Problem(f"{file}:{error.lineno or 1}", problem)]) from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError([Problem(f"{file}:1", f"has annotations, and cannot be parsed: {error}")]) from None


def _line_of(place: str) -> int:
    return int(place.rpartition(":")[2])
