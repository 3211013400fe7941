"""YAML as plain data together with the line of every key and entry, and everything that is wrong with it.

The scalars follow the core schema of YAML 1.2: ``yes``, ``on``, ``0755``, ``12:30`` and ``3.10`` are text (YAML 1.1
makes a truth value, numbers and 3.1 of them), only what reads the same when written back is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
MOST_NODES = 100_000
_STANDARD_TAGS = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "value", "merge")
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")


@dataclass
class Document:
    """``data``; ``lines``: 1-based line by path; ``problems``: line, path and text of what is wrong."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, Path, str]] = field(default_factory=list)


def parse_yaml(text: str) -> Document:
    """Parse one YAML document. Errors of syntax end up in ``problems`` too, with an empty path."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            document.data = _Construction(document).value_of(node, (), frozenset())
    except RecursionError:
        document.problems.append((1, (), "is nested too deeply"))
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, text))
    return document


def _syntax_problem(error: yaml.YAMLError, text: str) -> tuple[int, Path, str]:
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if start is not None and mark is not None and start.line != mark.line:
        reason = f"{reason} ({getattr(error, 'context', '')} that starts in line {start.line + 1})"
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
    # An unclosed bracket is noticed behind the last line.
    return min(line, max(1, len(text.splitlines()))), (), f"YAML syntax: {reason}"


def plain_scalar(text: str) -> Any:
    """What an unquoted scalar means: None, a truth value, a number that reads the same, else the text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    # int() of thousands of digits raises; no setting has more than 15.
    if len(text) <= 15 and _INT.fullmatch(text) and str(int(text)) == text:
        return int(text)
    if len(text) <= 15 and _FLOAT.fullmatch(text) and str(float(text)) == text:
        return float(text)
    return text


class _Construction:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def value_of(self, node: yaml.Node, path: Path, within: frozenset[int]) -> Any:
        """Plain data of a node. Aliases are copied, which the limit on nodes bounds."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise yaml.constructor.ConstructorError(None, None, f"more than {MOST_NODES} values", node.start_mark)
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in within:
            self._problem(node, path, "an alias (*) that contains itself")
            return None
        if node.tag.rpartition(":")[2] not in _STANDARD_TAGS or not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(node, path, f"unknown tag {node.tag.replace('tag:yaml.org,2002:', '!!')}")
            return None
        within |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, within)
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(item, (*path, index), within) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            return None
        return plain_scalar(node.value) if node.style is None else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path, within: frozenset[int]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be text")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                self._problem(key_node, path, "merge keys (<<) are not supported; write the keys out")
                continue
            if key in first_lines:
                text = f"duplicate key; it is already given in line {first_lines[key]}"
                self.document.problems.append((line, (*path, key), text))
                continue
            first_lines[key] = line
            self.document.lines[(*path, key)] = line
            found[key] = self.value_of(value_node, (*path, key), within)
        return found

    def _problem(self, node: yaml.Node, path: Path, text: str) -> None:
        self.document.problems.append((node.start_mark.line + 1, path, text))
