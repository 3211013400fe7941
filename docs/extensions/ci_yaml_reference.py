"""The reference of ci.yaml as Markdown: kinds and defaults from the JSON schema, meanings from a file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MEANINGS = Path(__file__).with_name("ci_yaml_meanings.yaml")
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": ""}


@dataclass(frozen=True)
class Key:
    """One key: its path from the top of ci.yaml (``projects.<project>.branch``, ``services[].name``)."""

    path: str
    kind: str
    default: str
    required: bool


@dataclass(frozen=True)
class Part:
    """A section of ci.yaml, in the order in which the keys lead to it; ``path`` is empty for the top."""

    path: str
    about: str
    keys: tuple[Key, ...]


def parts() -> list[Part]:
    """Every section with its keys."""
    from ci_scripts.settings import json_schema

    schema = json_schema()
    return list(_parts(schema, schema, ""))


def meanings() -> dict[str, str]:
    """A sentence or two for each key, by its path."""
    found: dict[str, str] = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    return found


def as_markdown() -> list[str]:
    """The reference, line by line."""
    told, lines = meanings(), []
    for part in parts():
        lines += [f"## {part.path or 'The top level'}", "", part.about, ""]
        lines += ["| key | value | default | |", "| --- | --- | --- | --- |"]
        for key in part.keys:
            name = key.path.removeprefix(part.path).lstrip(".")
            default = "**needed**" if key.required else key.default
            row = (f"`{name}`", key.kind, default, told.get(key.path, ""))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        lines.append("")
    return lines


def _parts(schema: dict[str, Any], section: dict[str, Any], path: str) -> Iterator[Part]:
    keys, inner = [], []
    needed = section.get("required", [])
    for name, about in section["properties"].items():
        if name == "$schema":
            continue
        where = f"{path}.{name}".lstrip(".")
        below, suffix = _section_of(schema, about)
        if below is not None:
            inner.append((below, where + suffix))
        keys.append(Key(where, _kind(schema, about), _default(about), name in needed))
    yield Part(path, _first_paragraphs(section) if path else "", tuple(keys))
    for below, where in inner:
        yield from _parts(schema, below, where)


def _first_paragraphs(section: dict[str, Any]) -> str:
    return str(section.get("description", "")).replace("``", "`")


def _section_of(schema: dict[str, Any], about: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The section that a key holds, and what is written behind the key to get there."""
    for choice in about.get("anyOf", [about]):
        if "$ref" in choice:
            return schema["$defs"][choice["$ref"].rpartition("/")[2]], ""
        if choice.get("type") == "array":
            below, suffix = _section_of(schema, choice.get("items", {}))
            return below, "[]" + suffix
        if choice.get("type") == "object" and isinstance(choice.get("additionalProperties"), dict):
            below, suffix = _section_of(schema, choice["additionalProperties"])
            return below, ".<name>" + suffix
    return None, ""


def _kind(schema: dict[str, Any], about: dict[str, Any]) -> str:
    if "anyOf" in about:
        return " or ".join(filter(None, (_kind(schema, choice) for choice in about["anyOf"])))
    if "$ref" in about:
        return "a section"
    if "enum" in about:
        return ", ".join(f"`{word}`" for word in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if about.get("type") == "array":
        items = _kind(schema, about.get("items", {}))
        return f"a list: {items}" if items else "a list"
    if about.get("type") == "object":
        # Where the names themselves have a form, their pattern leads to what they hold.
        inside = next(iter(about.get("patternProperties", {}).values()), about.get("additionalProperties"))
        return f"by name: {_kind(schema, inside)}" if isinstance(inside, dict) else "by name"
    if isinstance(about.get("type"), list):
        return "text, number or true/false"
    least = f" from {about['minimum']}" if "minimum" in about else ""
    return KINDS.get(about.get("type", ""), "") + least


def _default(about: dict[str, Any]) -> str:
    value = about.get("default")
    return "" if value in (None, [], {}, "") or isinstance(value, dict) else f"`{json.dumps(value).strip(chr(34))}`"
