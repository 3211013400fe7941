"""The directive ``ci-yaml``: the reference of ci.yaml, made when the pages are built."""

from __future__ import annotations

from ci_yaml_reference import MEANINGS, as_markdown
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CiYaml(SphinxDirective):
    """Takes nothing; parsed as Markdown where it stands."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(MEANINGS))
        return self.parse_text_to_nodes(StringList(as_markdown(), source="ci.yaml"), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("ci-yaml", CiYaml)
    return {"parallel_read_safe": True}
