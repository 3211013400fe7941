# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""A change as a list of textual edits that fail loudly when the text is not what they expect."""

from dataclasses import dataclass


class TextNotFound(Exception):
    """An edit does not fit: its text is not there exactly once."""


@dataclass(frozen=True)
class Edit:
    """Replace `old`, which must be in the file exactly once, by `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """One patch set of one change; `base` names the commit it was written on."""

    number: int
    patchset: int
    base: str
    message: str
    edits: tuple[Edit, ...]


def apply_edits(tree, edits):
    """Apply the edits to the files below `tree`; returns a function that takes them back.

    :raises TextNotFound: a file or a text is missing or ambiguous; no file was changed.
    """
    before, after = {}, {}
    for edit in edits:
        path = tree / edit.path
        if path not in before:
            try:
                before[path] = after[path] = path.read_text()
            except OSError as error:
                raise TextNotFound(f"{edit.path}: {error.strerror}") from error
        count = after[path].count(edit.old)
        if count != 1:
            raise TextNotFound(f"{edit.path}: expected once, found {count} times: {edit.old!r}")
        after[path] = after[path].replace(edit.old, edit.new)
    _write(after)
    return lambda: _write(before)


def _write(texts):
    for path, text in texts.items():
        path.write_text(text)
