"""Write oslo.config files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ci_scripts.workspace import write_text_atomically

Sections = Mapping[str, Mapping[str, object]]


def render_ini(sections: Sections) -> str:
    """Text of an oslo.config file: a list becomes its items with commas, a bool true or false.

    A line break in a value would begin another option, so such a value goes on in indented lines.
    """
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_text(value)}" for name, value in options.items()]
        lines.append("")
    return "\n".join(lines)


def write_ini(path: Path, sections: Sections, mode: int = 0o644) -> None:
    write_text_atomically(path, render_ini(sections), mode)


def merged(base: Sections, over: Sections) -> dict[str, dict[str, object]]:
    """Both, the second winning option by option."""
    result = {section: dict(options) for section, options in base.items()}
    for section, options in over.items():
        result.setdefault(section, {}).update(options)
    return result


def literal(value: str) -> str:
    """A value in which oslo.config is to substitute nothing: ``$`` begins a reference to another option."""
    return value.replace("$", "$$")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(_text(item) for item in value)
    return str(value).replace("\n", "\n    ")
