"""The ``{name}`` placeholders of ci.yaml: which names there are, and how they are filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ci_scripts.errors import ConfigurationError

# What the stages fill in; {service.<name>.url} and {secret.<name>} come with the entries of that name.
STAGE_NAMES = (
    "workspace",
    "shard",
    "port",
    "python",
    "openstack_python",
    "config_dir",
    "keystone.url",
    "neutron.url",
)
_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}|[{}]")


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every ``{name}`` replaced by its value; ``{{`` and ``}}`` stand for single braces.

    A value is put in as it is: placeholders in it are not filled again.

    Raises ConfigurationError for an unknown name, with the known ones, and for a brace that stands alone.
    """
    problem = placeholder_problem(text, values)
    if problem:
        raise ConfigurationError(f"{text!r} cannot be filled in: {problem}.")

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        return values[name] if name is not None else match.group(0)[0]

    return _TOKEN.sub(value_of, text)


def placeholder_problem(text: str, known: Iterable[str]) -> str | None:
    """Why `fill` would refuse ``text`` if it knew the names ``known``, or None."""
    names = sorted(known)
    for match in _TOKEN.finditer(text):
        name = match.group(1)
        if name is not None and name not in names:
            close = get_close_matches(name, names, 1)
            hint = f"; did you mean {{{close[0]}}}?" if close else ""
            return f"unknown placeholder {{{name}}}{hint} (known: {', '.join(names) or 'none'})"
        if match.group(0) in ("{", "}"):
            return f"a single {match.group(0)!r}; write it twice where a brace is meant"
    return None
