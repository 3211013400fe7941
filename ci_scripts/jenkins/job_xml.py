"""The XML of a job, in a form in which two that mean the same look the same. Pure.

Jenkins writes a job anew when it saves it: with the versions of plug-ins, in the order of its classes' fields, and
with fields that have their default. A field that is absent is read as false, 0 or nothing, because Jenkins makes the
object without its constructor; so such fields are left out on both sides.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence

# Entries of lists: there an empty or false one counts.
VALUES = frozenset({"string", "int", "long", "boolean", "float", "double", "char", "null", "entry"})
DEFAULTS = frozenset({"", "false", "0", "0.0"})
# What XML 1.0 forbids and Jenkins' XML 1.1 allows.
REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
LONGEST_DIFF = 20_000


class NotAJob(ValueError):
    """What should be a job's XML is something else."""


def parsed(text: str) -> ElementTree.Element:
    """The root element. Raises NotAJob."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NotAJob("it declares entities, which no job does")
    try:
        return ElementTree.fromstring(REFERENCE.sub(_allowed, text).encode("utf-8", "replace"))
    except (ElementTree.ParseError, ValueError) as error:
        raise NotAJob(f"it is no XML: {error}") from None


def normal_lines(text: str, *, with_state: bool = False) -> list[str]:
    """The job's XML, normalised, as lines; whether it is disabled only ``with_state``. Raises NotAJob."""
    root = parsed(text)
    for child in () if with_state else root.findall("disabled"):
        root.remove(child)
    try:
        return list(_lines(root, 0)) or [f"<{root.tag}/>"]
    except RecursionError:
        raise NotAJob("its elements are nested too deeply") from None


def digest(lines: Iterable[str]) -> str:
    """By this a normal form is known again."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()


def difference(name: str, here: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """A unified diff from what the server has to what the definitions say; empty where they mean the same."""
    if list(here) == list(wanted):
        return []
    if len(here) + len(wanted) > LONGEST_DIFF:
        return [f"{name}: differs, and is too long to be compared line by line"]
    return list(difflib.unified_diff(here, wanted, f"server: {name}", f"definitions: {name}", lineterm=""))


def is_disabled(text: str) -> bool | None:
    """What the XML says about that, None where it says nothing. Raises NotAJob."""
    found = parsed(text).find("disabled")
    return None if found is None else (found.text or "").strip() == "true"


def with_disabled(text: str, disabled: bool) -> str:
    """The same job, disabled or not. Raises NotAJob."""
    root = parsed(text)
    found = root.find("disabled")
    if found is None:
        found = ElementTree.SubElement(root, "disabled")
    found.text = "true" if disabled else "false"
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ElementTree.tostring(root, encoding='unicode')}\n"


def is_folder(text: str) -> bool:
    """Whether it holds jobs and has no builds of its own. Raises NotAJob."""
    return parsed(text).tag.endswith(("Folder", "MultiBranchProject"))


def is_made_by_builder(text: str, mark: str) -> bool:
    """Whether Jenkins Job Builder made it: the description ends with its ``mark``. Raises NotAJob."""
    found = parsed(text).find("description")
    return found is not None and (found.text or "").rstrip().endswith(mark)


def _lines(element: ElementTree.Element, depth: int) -> Iterable[str]:
    blank = "  " * depth
    attributes = {name: value for name, value in element.attrib.items() if name != "plugin"}
    tag = element.tag + "".join(f' {name}="{attributes[name]}"' for name in sorted(attributes))
    children = [(child.tag, list(_lines(child, depth + 1))) for child in element]
    kept = [(name, lines) for name, lines in children if lines]
    if not any("." in name or name in VALUES for name, _ in kept):
        # Fields of an object, in no order that matters; names of classes stand for entries of a list.
        kept.sort(key=lambda entry: entry[0])
    # Browsers send CR LF, and Jenkins keeps it.
    text = (element.text or "").replace("\r\n", "\n")
    text = text if text.strip() or not children else ""
    if (
        not kept
        and text.strip() in DEFAULTS
        and depth
        and not (attributes or "." in element.tag or element.tag in VALUES)
    ):
        return
    if kept:
        yield f"{blank}<{tag}>"
        if text.strip():
            yield f"{blank}  {text.strip()}"
        for _, lines in kept:
            yield from lines
        yield f"{blank}</{element.tag}>"
    elif "\n" in text:
        yield f"{blank}<{tag}>"
        yield from (f"{blank}  {line}" for line in text.split("\n"))
        yield f"{blank}</{element.tag}>"
    else:
        yield f"{blank}<{tag}>{text}</{element.tag}>" if text else f"{blank}<{tag}/>"


def _allowed(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    fits = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return match[0] if fits else f"\\x{code:02x}"
