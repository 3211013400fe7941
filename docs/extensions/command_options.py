"""The directive ``command-options``: the options of a command as a table, from the command itself.

```{command-options} ci-operate doctor
```
"""

from __future__ import annotations

import importlib

import click
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def command_named(words: list[str]) -> click.Command:
    """The click command of ``ci-operate doctor`` or ``ci-run-gate``; raises ModuleNotFoundError."""
    name, *verbs = words
    package = "operate" if name == "ci-operate" else f"stages.{name.removeprefix('ci-').replace('-', '_')}"
    command: click.Command = importlib.import_module(f"ci_scripts.{package}").command
    for verb in verbs:
        assert isinstance(command, click.Group), f"{name} has no verbs"
        found = command.get_command(click.Context(command), verb)
        if found is None:
            raise ModuleNotFoundError(f"{name} has no verb {verb}")
        command = found
    return command


def as_markdown(words: list[str]) -> list[str]:
    """The table, line by line, as ``--help`` has it."""
    command = command_named(words)
    context = click.Context(command, info_name=" ".join(words))
    lines = ["| option | |", "| --- | --- |"]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or "--help" in parameter.opts:
            continue
        names, about = (text.replace("|", "\\|").replace("<", "&lt;") for text in record)
        lines.append(f"| `{names}` | {about} |")
    return lines


class CommandOptions(SphinxDirective):
    """The argument is the command's name, for ci-operate with its verb."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        words = self.arguments[0].split()
        return self.parse_text_to_nodes(StringList(as_markdown(words), source=" ".join(words)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True}
