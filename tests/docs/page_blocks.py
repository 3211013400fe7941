"""The code blocks and commands of a page in Markdown.

A ``console`` block is run by the tests: a line that begins with "$ " is a command ("> " goes on with it). What follows
is what it prints, where "..." stands for anything, and times, run ids and ports need not be the same.
``$ echo $?`` shows the exit code of the command before. A block with a caption that begins with "Needs" is not run;
the caption says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUN = "console"
FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*)$")
NEEDS = "Needs "
CHANGING = (
    (r"^\d\d:\d\d:\d\d ", "<clock> "),
    (r"\b20\d{6}T\d{6}Z-[0-9a-f]{6}\b", "<run>"),
    (r"\b20\d\d-\d\d-\d\d \d\d:\d\d(?::\d\d)?Z?", "<time>"),
    (r"\b[0-9a-f]{40}\b", "<sha>"),
    (r"\b127\.0\.0\.1:\d+", "<port>"),
    (r"\b\d+\.\d+ s\b", "<seconds> s"),
)


@dataclass
class Block:
    """``language`` is empty for an indented block; ``line`` is that of its first line in the page."""

    language: str
    line: int
    lines: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def not_run(self) -> str:
        """Why the commands of a console block are not run, empty where they are."""
        caption = self.options.get("caption", "")
        return caption if caption.startswith(NEEDS) else ""


@dataclass
class Shown:
    """A command, and what the page says that it prints."""

    command: str
    line: int
    output: list[str] = field(default_factory=list)


def pages() -> list[Path]:
    """Every page of the documentation, the README and the rules for developers."""
    found = [path for path in DOCS.rglob("*.md") if "_build" not in path.parts]
    return [*sorted(found), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    """Fenced and indented blocks in their order."""
    found: list[Block] = []
    fence, indent, before_blank = "", 0, True
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence:
            if match and match[2].startswith(fence) and not match[3]:
                fence = ""
            else:
                found[-1].lines.append(line[indent:] if not line[:indent].strip() else line)
        elif match:
            fence, indent = match[2], len(match[1])
            found.append(Block(match[3], number + 1))
        elif line.startswith("    ") and (before_blank or _goes_on(found, number)):
            if not _goes_on(found, number):
                found.append(Block("", number))
            found[-1].lines.append(line[4:])
        before_blank = not line.strip()
    return [_with_options(block) for block in found]


def _goes_on(found: list[Block], number: int) -> bool:
    """Whether the last block is an indented one that ends in the line before."""
    return bool(found) and found[-1].language == "" and found[-1].line + len(found[-1].lines) == number


def _with_options(block: Block) -> Block:
    """``{code-block} console`` with ``:caption: text`` is a console block with options."""
    directive = re.fullmatch(r"\{code-block\}\s*(\w+)", block.language)
    if directive:
        block.language = directive[1]
        while block.lines and (option := re.match(r":([\w-]+):\s*(.*)", block.lines[0])):
            block.options[option[1]] = option[2]
            block.lines.pop(0)
            block.line += 1
    return block


def shown(block: Block) -> list[Shown]:
    """The commands of a console block. Raises AssertionError for one that begins with output."""
    found: list[Shown] = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            found.append(Shown(line[2:], number))
        elif line.startswith("> ") and found and not found[-1].output:
            found[-1].command += "\n" + line[2:]
        else:
            assert found, f"line {number}: output before a command"
            found[-1].output.append(line)
    for each in found:
        while each.output and not each.output[-1].strip():
            each.output.pop()
    return found


def same(text: str) -> str:
    """A text in which what differs from run to run does not."""
    for pattern, instead in CHANGING:
        text = re.sub(pattern, instead, text)
    return text


def prints(wanted: list[str], lines: list[str]) -> bool:
    """Whether a command printed what the page shows: "..." alone is any lines, in a line any characters."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else _pattern(same(line)) for line in wanted)
    return re.fullmatch(pattern, "".join(f"{same(line).rstrip()}\n" for line in lines)) is not None


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.rstrip().split("..."))) + "\n"


def our_commands(text: str) -> Iterator[tuple[int, str]]:
    """Lines of any block, and code in a sentence, that call one of our commands; with the line's number."""
    for block in blocks(text):
        for number, line in _joined(block):
            for part in re.split(r"\s(?:&&|\|\||;|\|)\s|;\s", line):
                words = re.sub(r"^\s*(?:\$ |> |- )?(?:nice |exec |sudo (?:-\S+ )*)?(?:\S*/)?", "", part)
                if re.match(r"ci-[a-z]+(?:-[a-z]+)+\s|ci-operate\s", words + " "):
                    yield number, words
    for number, line in enumerate(text.splitlines(), 1):
        # Jobs and labels have such names, too: in a sentence only what has options is surely a command.
        for found in re.findall(r"`(ci-operate [^`]*|ci-[a-z-]+ [^`]*--[^`]*)`", line):
            yield number, found


def _joined(block: Block) -> Iterator[tuple[int, str]]:
    """Lines that end with a backslash are one with the next."""
    begun, first = "", 0
    for number, line in enumerate(block.lines, block.line):
        first = first if begun else number
        begun += re.sub(r"^> ", "", line) if begun else line
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        yield first, begun
        begun = ""
