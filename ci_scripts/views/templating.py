"""Fill the HTML templates: everything escaped, and cleaned of characters that markup forbids."""

from __future__ import annotations

from typing import Any

from ci_scripts.verdict.tests_file import class_of
from ci_scripts.views.clean_text import duration, for_markup, what_happened


def fill(template: str, **context: Any) -> str:
    """The template of this name in ``views/templates`` with its context."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ci_scripts.views"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: for_markup(value) if type(value) is str else value,
    )
    environment.filters["duration"] = duration
    environment.filters["what_happened"] = what_happened
    environment.filters["class_of"] = class_of
    return environment.get_template(template).render(**context)
