"""What the pages say, held against the commands: options, exit codes, ci.yaml. Nothing is run here."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import yaml

from ci_scripts import errors
from ci_scripts.errors import CIError
from ci_scripts.settings import load_settings
from tests.docs.page_blocks import DOCS, NEEDS, ROOT, RUN, blocks, name_of, our_commands, pages, prints, shown

sys.path.insert(0, str(DOCS / "extensions"))
import ci_yaml_reference
from command_options import command_named

SHELLS = {RUN, "shell", "bash", "sh"}
STAGES = sorted(set(re.findall(r"^    (ci-[\w-]+) = ", (ROOT / "setup.cfg").read_text(), re.M)) - {"ci-operate"})
# An option that takes a value is followed by it; what the words are does not matter here.
PLACEHOLDER = re.compile(r"^\[|\]$|^\.\.\.$")

each_page = pytest.mark.parametrize("page", pages(), ids=name_of)


def of_errors() -> set[int]:
    found, front = {0}, [CIError]
    while front:
        front += (subclasses := front.pop().__subclasses__())
        found |= {kind.exit_code for kind in subclasses if kind.__module__ == errors.__name__}
    return found


def problem_of(command: str) -> str:
    """What is wrong with the words of a call of ours; empty if nothing is."""
    try:
        words = [PLACEHOLDER.sub("", word) for word in shlex.split(command, comments=True)]
    except ValueError:
        # An apostrophe of the sentence around it.
        words = command.split()
    words = [word for word in words if word and not re.match(r"^[<>&|2]", word)]
    name, *rest = words
    verbs: list[str] = []
    found = command_named([name])
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        verbs.append(rest.pop(0))
        found = command_named([name, *verbs])
    known = {option for parameter in found.get_params(click.Context(found)) for option in parameter.opts}
    unknown = [word for word in rest if re.match(r"--[a-z]", word) and word.partition("=")[0].rstrip(",") not in known]
    return f"{' '.join([name, *verbs])} has no option {', '.join(unknown)}" if unknown else ""


@each_page
def test_commands_exist_with_the_options_that_a_page_uses(page: Path) -> None:
    wrong = []
    for number, command in our_commands(page.read_text(encoding="utf-8")):
        try:
            problem = problem_of(command)
        except ModuleNotFoundError as error:
            problem = str(error)
        if problem:
            wrong.append(f"{name_of(page)}:{number}: {command}: {problem}")
    assert wrong == []


@each_page
def test_a_block_of_commands_is_run_or_says_what_it_needs(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        assert "caption" not in block.options or block.options["caption"].startswith(NEEDS)
        if block.language in SHELLS and block.language != RUN:
            assert block.not_run, (
                f"{name_of(page)}:{block.line}: a {block.language} block is not run: say what it needs"
            )
        if block.language == RUN:
            assert shown(block), f"{name_of(page)}:{block.line}: no line begins with '$ '"


@each_page
def test_exit_codes_of_a_page_are_those_of_the_errors(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for table in re.findall(r"^\| (?:exit )?code \|.*\n\|[ |-]+\n((?:\|.*\n)+)", text, re.M):
        for row in table.splitlines():
            codes = [int(code) for code in re.findall(r"\d+", row.split("|")[1])]
            assert codes and set(codes) <= of_errors(), f"{name_of(page)}: {row}"


def test_the_page_of_exit_codes_has_all_of_them_twice() -> None:
    tables = re.findall(r"^\| exit code \|.*\n\|[ |-]+\n((?:\|.*\n)+)", (DOCS / "exit-codes.md").read_text(), re.M)
    for table in tables:
        codes = [int(code) for row in table.splitlines() for code in re.findall(r"\d+", row.split("|")[1])]
        assert set(codes) == of_errors() and len(codes) == len(set(codes))
    assert len(tables) == 2


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_has_a_page(stage: str) -> None:
    text = (DOCS / "stages" / f"{stage.removeprefix('ci-')}.md").read_text()
    assert text.startswith(f"# {stage}\n") and f"{{command-options}} {stage}\n" in text
    for table in ("| reads | |", "| writes | |", "| exit code | meaning |"):
        assert table in text
    codes = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", text, re.M) for code in re.findall(r"\d+", row)}
    assert {0, 2, 70, 130, 143} <= codes
    # Only these two may say that the change is to blame.
    assert ("the change is to blame" in text) is (stage in ("ci-summarize-results", "ci-run-job"))
    index = (DOCS / "stages" / "index.md").read_text()
    assert f"\n{stage.removeprefix('ci-')}\n" in index


def test_every_key_of_ci_yaml_is_explained_and_no_other() -> None:
    keys = {key.path for part in ci_yaml_reference.parts() for key in part.keys}
    assert sorted(keys) == sorted(ci_yaml_reference.meanings())
    lines = "\n".join(ci_yaml_reference.as_markdown())
    assert lines.count("\n| `") == len(keys)
    assert "| `kind` | `local`, `devstack`, `devstack-gate` | `local` |" in lines


def test_the_guide_s_ci_yaml_is_one(tmp_path: Path) -> None:
    first, second = [block for block in blocks((DOCS / "guide.md").read_text()) if block.language == "yaml"]
    path = tmp_path / "ci.yaml"
    path.write_text("\n".join([*first.lines, *second.lines]))
    settings = load_settings(path, environment={"HOME": "/"})
    assert settings.recheck_name == "example-networks" and settings.gerrit is not None


@each_page
def test_yaml_on_a_page_can_be_read(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "yaml":
            assert yaml.safe_load("\n".join(block.lines))


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{name_of(page)}: {target}"


def test_what_a_block_shows_is_compared_line_by_line() -> None:
    text = "```console\n$ a \\\n>   b\none ... three\n...\nend\n$ echo $?\n1\n```\n\n    ci-x\n    y\n"
    block, indented = blocks(text)
    first, second = shown(block)
    assert first.command == "a \\\n  b" and second.output == ["1"]
    assert prints(first.output, ["one two three", "x", "y", "end"]) and prints(first.output, ["one 2 three", "end"])
    assert not prints(first.output, ["one two three", "end", "more"]) and not prints(first.output, ["one two", "end"])
    assert indented.lines == ["ci-x", "y"] and (block.line, indented.line) == (2, 11)
