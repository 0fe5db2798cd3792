"""YAML 1.2 files whose values know in which line they stand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nni.config._errors import ConfigError, Fault, KeyPath
from nni.config._read import find_key

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("nni.config")

_HINTS = {
    "mapping values are not allowed here": "a ':' cannot stand here; is one missing after the key of the line before, "
    "or does the value need quotes?",
    "could not find expected ':'": "expected ': ' after the key",
    "that cannot start any token": "a value cannot start with this character: indent with spaces instead of tabs, "
    "put values in quotes",
    "expected ',' or '}'": "expected ',' or '}'",
    "expected ',' or ']'": "expected ',' or ']'",
    "did not find expected key": "expected a key; is the line indented like its neighbours?",
    "expected <block end>": "expected a key like those above; is the line indented like its neighbours?",
    "but found another document": "expected one document, but a second one starts here",
    "found undefined alias": "refers to an anchor (&name) that is not defined above",
    "found unexpected end of stream": "expected a closing quote before the end of the file",
}


class Document:
    """A YAML file: its value, and the line of each part of it."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        reader = YAML(typ="safe", pure=True)
        try:
            self._root: Node | None = reader.compose(text)
            builder = _Builder(file, reader.constructor)
            self.value: Any = builder.value(self._root, ()) if self._root is not None else None
        except RecursionError:
            raise ConfigError(Fault((), "is nested too deeply", str(file))) from None
        except YAMLError as error:
            raise ConfigError(_syntax_fault(file, error)) from None

    def place(self, path: KeyPath) -> str:
        """Return ``file:line`` of a key, or of the nearest thing around it that exists."""
        return f"{self.file}:{self.line(path)}"

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest thing around it that exists."""
        line = 1
        node = self._root
        for key in path:
            child = _child(node, key)
            if child is None:
                break
            line, node = child
        return line

    def text_at(self, path: KeyPath) -> str | None:
        """Return a number, date or boolean as it is written; None for everything else."""
        node = self._root
        for key in path:
            child = _child(node, key)
            if child is None:
                return None
            node = child[1]
        tag = str(node.tag) if isinstance(node, ScalarNode) else ":null"
        return None if node is None or tag.endswith((":str", ":null")) else str(node.value)


class _Builder:
    """Builds the value of a document out of its nodes."""

    def __init__(self, file: Path, constructor: Any) -> None:
        self.file = file
        self._constructor = constructor
        self._values: dict[int, Any] = {}
        self._open: set[int] = set()

    def value(self, node: Node, path: KeyPath) -> Any:
        """Return the Python value of a node; parts behind aliases are built once."""
        identity = id(node)
        if identity in self._open:
            raise ConfigError(Fault(path, "contains itself", f"{self.file}:{node.start_mark.line + 1}"))
        if identity not in self._values:
            self._open.add(identity)
            self._values[identity] = self._build(node, path)
            self._open.discard(identity)
        return self._values[identity]

    def _build(self, node: Node, path: KeyPath) -> Any:
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        try:
            return self._constructor.construct_object(node)
        except (ValueError, OverflowError) as error:  # such as the date 2020-13-45
            raise ConfigError(Fault(path, str(error), f"{self.file}:{node.start_mark.line + 1}")) from None

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                merged = {**self._merge(value_node, path), **merged}
                continue
            key = self._key(key_node, path)
            if key in result:
                # The documentation's own DLC example has a key twice, so this cannot be an error (PLT-352).
                place = f"{self.file}:{key_node.start_mark.line + 1}"
                _log.warning("%s: '%s' is given twice, the last one counts", place, key)
            result[key] = self.value(value_node, (*path, key))
        return {**merged, **result}

    def _merge(self, node: Node, path: KeyPath) -> dict[Any, Any]:
        value = self.value(node, path)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise ConfigError(Fault(path, "expected a mapping after '<<:'", f"{self.file}:{node.start_mark.line + 1}"))
        return {key: item for part in reversed(parts) for key, item in part.items()}

    def _key(self, node: Node, path: KeyPath) -> str:
        """Return a key as it is written: JSON, into which all of this goes, has text keys only."""
        if not isinstance(node, ScalarNode):
            raise ConfigError(Fault(path, "expected a key that is text", f"{self.file}:{node.start_mark.line + 1}"))
        return str(node.value)


def _child(node: Node | None, key: str | int) -> tuple[int, Node] | None:
    """Return the line and the value of a key or an index."""
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        item = node.value[key]
        return item.start_mark.line + 1, item
    if not isinstance(node, MappingNode):
        return None
    entries = {entry[0].value: entry for entry in node.value if isinstance(entry[0], ScalarNode)}
    found = find_key(entries, key)
    if found not in entries:
        return None
    key_node, value_node = entries[found]
    return key_node.start_mark.line + 1, value_node


def _syntax_fault(file: Path, error: YAMLError) -> Fault:
    """Word a syntax error in one line: where, and what was expected (PLT-021)."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
    problem = str(error.problem or error.context) if isinstance(error, MarkedYAMLError) else str(error).split("\n")[0]
    hint = next((hint for pattern, hint in _HINTS.items() if pattern in problem), " ".join(problem.split()))
    return Fault((), f"not valid YAML: {hint}", place)
