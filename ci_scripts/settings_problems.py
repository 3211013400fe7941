"""What is wrong with a configuration, in words of ci.yaml: each problem with its key and, through it, its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError

from ci_scripts.placeholders import STAGE_NAMES, placeholder_problem
from ci_scripts.settings_model import Settings
from ci_scripts.untrusted_words import quoted

Path = tuple[str | int, ...]
NAMED_LISTS = ("services", "probes", "checks", "inventories", "secrets")
_FILLED_IN: tuple[Path, ...] = (
    ("services",),
    ("probes",),
    ("checks",),
    ("inventories",),
    ("driver", "neutron_config"),
    ("tempest", "config"),
    ("unit_tests", "environment"),
    ("unit_tests", "checks"),
)
_WANTED = {
    "int": "a whole number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "keys with values",
    "model": "keys with values",
}


@cache
def json_schema() -> dict[str, Any]:
    """The schema of ci.yaml for editors (JSON Schema draft 2020-12)."""
    schema = Settings.model_json_schema()
    schema["required"] = [name for name in schema["required"] if name != "cache_dir"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ci.yaml"}


def schema_at(path: Path) -> Mapping[str, Any] | None:
    """The part of the schema that describes ``path``; None where there is no such key."""
    found = _resolved(json_schema())
    for step in path:
        if isinstance(step, int):
            found = _resolved(found.get("items", {}))
        elif step in found.get("properties", {}):
            found = _resolved(found["properties"][step])
        elif isinstance(found.get("additionalProperties"), dict):
            found = _resolved(found["additionalProperties"])
        else:
            return None
    return found


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in schema.get("anyOf", ()):
        if "$ref" in choice or choice.get("type") == "array":
            return _resolved(choice)
    if "$ref" in schema:
        named: Mapping[str, Any] = json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        return named
    return schema


def problems_of_validation(error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Path and text of everything that pydantic found."""
    for item in error.errors(include_url=False):
        path = tuple(step for step in item["loc"] if step != "[key]")
        yield path, _text_of(item, path)


def _text_of(item: Any, path: Path) -> str:
    kind, value, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "missing":
        return "missing; this key is required"
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return _pattern_text(path, value)
    if kind == "literal_error":
        return f"must be {context['expected']}, not {_shown(value)}"
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}, not {_shown(value)}"
    if kind == "too_short":
        return "must not be empty"
    wanted = _WANTED.get(kind.split("_")[0])
    if wanted is None:
        return str(item["msg"])
    hint = "; put it in quotes" if wanted == "text" and isinstance(value, (int, float)) else ""
    return f"must be {wanted}, not {_shown(value)}{hint}"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, (list, tuple)):
        return "a list"
    return quoted(value) if isinstance(value, str) else str(value)


def _pattern_text(path: Path, value: Any) -> str:
    if path == ("name",):
        return f"must end in ' CI' as the Gerrit account's full name does, not {_shown(value)}"
    # The name of a variable is a value ("environment: NAME") or a key ("environment: {NAME: value}").
    if {"environment", "password_environment"}.intersection(path[-2:]):
        return f"must be the name of an environment variable, not {_shown(value)}"
    return f"must be lower-case letters, digits and dashes, not {_shown(value)}"


def _unknown_key(path: Path) -> str:
    key = str(path[-1])
    known = list((schema_at(path[:-1]) or {}).get("properties", {}))
    if close := get_close_matches(key, known, 1, 0.6):
        return f"unknown key; did you mean {close[0]!r}?"
    for section in json_schema()["properties"]:
        if (section,) != path[:1] and key in (schema_at((section,)) or {}).get("properties", {}):
            return f"unknown key; {key!r} belongs under {section!r}"
    return f"unknown key; known are: {', '.join(known)}"


def problems_between_entries(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Names that are given twice in a list, and placeholders that nothing fills in."""
    names: dict[str, list[str]] = {}
    for section in NAMED_LISTS:
        entries = [entry if isinstance(entry, dict) else {} for entry in _list(data.get(section))]
        names[section] = [str(entry.get("name", "")) for entry in entries]
        counted = Counter(names[section])
        for index, name in enumerate(names[section]):
            if name and counted[name] > 1 and name in names[section][:index]:
                yield (section, index, "name"), f"duplicate name {_shown(name)} in {section}"
    known = [*STAGE_NAMES, *(f"service.{name}.url" for name in names["services"] if name)]
    known += [f"secret.{name}" for name in names["secrets"] if name]
    for root in _FILLED_IN:
        found: Any = data
        for step in root:
            found = found.get(step) if isinstance(found, dict) else None
        for path, text in _texts(found, root):
            if problem := placeholder_problem(text, set(known)):
                yield path, problem


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(entry, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _texts(entry, (*path, index))
