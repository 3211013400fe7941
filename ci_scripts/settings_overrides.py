"""Values of ci.yaml that a flag or an environment variable (``CI_<SECTION>_<KEY>``) sets instead."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ci_scripts.settings_problems import schema_at
from ci_scripts.yaml_with_lines import parse_yaml, plain_scalar

KeyPath = tuple[str | int, ...]
SECTIONS = ("gate", "driver", "tempest")


def overridable() -> dict[str, KeyPath]:
    """Environment variable and path of every value that one variable can hold."""
    paths: list[KeyPath] = [("cache_dir",)]
    for section in SECTIONS:
        keys = (schema_at((section,)) or {}).get("properties", {})
        paths += [(section, key) for key in keys if (schema_at((section, key)) or {}).get("type") != "object"]
    return {"_".join(("CI", *map(str, path))).upper(): path for path in paths}


def override(
    data: dict[str, Any], flags: Mapping[str, object], environment: Mapping[str, str]
) -> tuple[dict[KeyPath, str], list[str]]:
    """Put what the environment and then the flags say into ``data``.

    Returns the origin of every value that was set, and problems: variables that look like a misspelt one.
    Raises KeyError for a flag that is no key of ci.yaml: that is a mistake of the command's, not the operator's.
    """
    names = overridable()
    origins: dict[KeyPath, str] = {}
    for name, path in names.items():
        # Jenkins passes a parameter that was left blank as an empty variable.
        if environment.get(name):
            _put(data, path, _value_of(path, environment[name]))
            origins[path] = name
    paths = {".".join(map(str, path)): path for path in names.values()}
    for flag, value in flags.items():
        if value is not None:
            _put(data, paths[flag], _value_of_flag(paths[flag], value))
            origins[paths[flag]] = "--" + flag.rpartition(".")[2].replace("_", "-")
    return origins, _misspelt(names, environment)


def _misspelt(names: Mapping[str, KeyPath], environment: Mapping[str, str]) -> list[str]:
    prefixes = tuple(f"CI_{section.upper()}_" for section in SECTIONS)
    problems = []
    for name in sorted(environment):
        if name.startswith(prefixes) and name not in names and (close := get_close_matches(name, names, 1, 0.85)):
            problems.append(f"{name}: unknown variable; did you mean {close[0]}?")
    return problems


def _value_of_flag(path: KeyPath, value: object) -> Any:
    if isinstance(value, Path):
        # A path on the command line is relative to where the command runs, not to the file's folder.
        return str(Path.cwd() / value)
    return _value_of(path, value) if isinstance(value, str) else value


def _value_of(path: KeyPath, text: str) -> Any:
    kinds = _kinds(path)
    if "array" in kinds:
        document = parse_yaml(text)
        return text if document.problems else document.data
    if kinds & {"integer", "boolean"} or (text == "null" and "null" in kinds):
        return plain_scalar(text)
    return text


def _kinds(path: KeyPath) -> set[str]:
    *parents, key = path
    schema = (schema_at(tuple(parents)) or {}).get("properties", {}).get(key, {})
    return {str(choice.get("type")) for choice in (schema, *schema.get("anyOf", ()))}


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    *parents, key = path
    for step in parents:
        inner = data.get(str(step))
        if inner is None:
            inner = data[str(step)] = {}
        if not isinstance(inner, dict):
            return
        data = inner
    data[str(key)] = value
