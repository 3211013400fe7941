"""Signatures: what known failures of the infrastructure look like in a log, who is to blame, and what to do.

Ours are in signatures.yaml beside this file; an operator's own files have the same form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ci_scripts.errors import ConfigurationError
from ci_scripts.verdict.line_patterns import LinePatterns, pattern_problem
from ci_scripts.yaml_with_lines import Document, parse_yaml

OURS = Path(__file__).with_name("signatures.yaml")
LARGEST_FILE = 1024 * 1024
LOGS = "logs/"
_BLAMES = ("ci", "unknown")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_GLOB = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?)|(.)", re.DOTALL)
_Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Signature:
    """One known failure.

    ``pattern`` is RE2 for one line, ``where`` globs relative to the workspace. ``blame`` is ci where no change could
    write such a line by a mistake in its code, else unknown.
    """

    id: str
    pattern: str
    where: tuple[str, ...]
    blame: Literal["ci", "unknown"]
    meaning: str
    what_to_do: str

    def looks_at(self, path: str) -> bool:
        """Whether a file, relative to its workspace and with ``/``, is one to look into; ``.gz`` does not matter."""
        plain = path.removesuffix(".gz")
        return any(_as_regex(glob).fullmatch(plain) for glob in self.where)


KEYS = tuple(field.name for field in fields(Signature))


def load_signatures(extra: Sequence[Path] = ()) -> tuple[Signature, ...]:
    """Our signatures and those of an operator's files.

    Raises ConfigurationError with everything that is wrong in all files, each with file, line and key: YAML, keys
    that are unknown or missing, patterns that are no RE2 or match every line, ids given twice.
    """
    signatures: list[Signature] = []
    problems: list[str] = []
    places: dict[str, str] = {}
    for path in (OURS, *extra):
        document = parse_yaml(_text_of(path))
        found = list(_problems_of_form(document.data)) if not document.problems or document.data else []
        entries = document.data.get("signatures") if isinstance(document.data, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            wrong = list(_problems_of_entry(entry))
            found += [(("signatures", index, *where), text) for where, text in wrong]
            name = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            if name in places:
                found.append((("signatures", index, "id"), f"{name!r} is already given in {places[name]}"))
            places.setdefault(name, f"{path.name}:{document.lines.get(('signatures', index, 'id'), 1)}")
            if not wrong:
                signatures.append(_signature(entry))
        problems += _as_text(path, document, found)
    if not problems:
        problems += _too_large(signatures)
    if problems:
        listed = problems[0] if len(problems) == 1 else f"{len(problems)} problems:\n  " + "\n  ".join(problems)
        raise ConfigurationError(
            f"the signatures cannot be used: {listed}.", next_step="correct the files that verdict.signatures names."
        )
    return tuple(signatures)


def _text_of(path: Path) -> str:
    next_step = "correct verdict.signatures in ci.yaml, or the file."
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", next_step=next_step) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigurationError(f"{path} is larger than {LARGEST_FILE} bytes.", next_step=next_step)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8.", next_step="save the file as UTF-8.") from error


def _problems_of_form(data: Any) -> Iterator[tuple[_Where, str]]:
    if not isinstance(data, dict) or not isinstance(data.get("signatures"), list):
        yield (), "the file must hold the key 'signatures' with a list"
    if isinstance(data, dict):
        yield from (((key,), "unknown key; known is: signatures") for key in data if key != "signatures")


def _problems_of_entry(entry: Any) -> Iterator[tuple[_Where, str]]:
    if not isinstance(entry, dict):
        yield (), "must be keys with values"
        return
    for key in entry:
        if key not in KEYS:
            close = get_close_matches(key, KEYS, 1, 0.6)
            yield (key,), f"unknown key; did you mean {close[0]!r}?" if close else f"unknown key; known: {_and(KEYS)}"
    missing = [key for key in KEYS if key not in entry]
    if missing:
        yield (), f"missing: {_and(missing)}"
    for key in ("meaning", "what_to_do"):
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            yield (key,), "must be text"
    if "id" in entry and not (isinstance(entry["id"], str) and _ID.fullmatch(entry["id"])):
        yield ("id",), "must be lower case letters, digits and dashes, at most 60"
    if "blame" in entry and entry["blame"] not in _BLAMES:
        yield ("blame",), "must be ci or unknown; no signature blames a change"
    yield from _problems_of_list(entry, "pattern", pattern_problem)
    yield from _problems_of_list(entry, "where", _glob_problem)


def _problems_of_list(entry: Mapping[str, Any], key: str, problem_of: Any) -> Iterator[tuple[_Where, str]]:
    if key not in entry:
        return
    values = entry[key]
    one = isinstance(values, str)
    if not one and not (isinstance(values, list) and values):
        yield (key,), "must be text or a list of texts"
        return
    for index, value in enumerate([values] if one else values):
        problem = problem_of(value) if isinstance(value, str) else "must be text; put it in quotes"
        if problem:
            yield (key,) if one else (key, index), problem


def _glob_problem(glob: str) -> str | None:
    return None if glob.startswith(LOGS) and ".." not in glob.split("/") else f"must start with {LOGS}"


def _signature(entry: Mapping[str, Any]) -> Signature:
    pattern, where = entry["pattern"], entry["where"]
    return Signature(
        id=entry["id"],
        # Plain groups, so that grep -E reads the same.
        pattern=pattern if isinstance(pattern, str) else "|".join(f"({part})" for part in pattern),
        where=(where,) if isinstance(where, str) else tuple(where),
        blame=entry["blame"],
        meaning=entry["meaning"].strip(),
        what_to_do=entry["what_to_do"].strip(),
    )


def _as_text(path: Path, document: Document, found: Sequence[tuple[_Where, str]]) -> list[str]:
    placed = [(line, where, text) for line, where, text in document.problems]
    for where, text in found:
        ends = range(len(where), -1, -1)
        line = next((document.lines[where[:end]] for end in ends if where[:end] in document.lines), 1)
        placed.append((line, where, text))
    placed.sort(key=lambda problem: problem[0])
    return [f"{path}:{line}: {_dotted(where)}{': ' if where else ''}{text}" for line, where, text in placed]


def _dotted(where: _Where) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def _too_large(signatures: Sequence[Signature]) -> list[str]:
    try:
        LinePatterns([signature.pattern for signature in signatures])
    except ValueError as error:
        return [str(error)]
    return []


def _and(words: Sequence[str]) -> str:
    return ", ".join(words)


@cache
def _as_regex(glob: str) -> re.Pattern[str]:
    parts = []
    for folders, below, within, one, other in _GLOB.findall(glob):
        parts.append(
            "(?:[^/]+/)*" if folders else ".+" if below else "[^/]*" if within else "[^/]" if one else re.escape(other)
        )
    return re.compile("".join(parts), re.DOTALL)
