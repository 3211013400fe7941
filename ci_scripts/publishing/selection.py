"""Which files of a workspace are published, and under which names: an allow-list, and what was passed over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ci_scripts.publishing.masking import Mask
from ci_scripts.publishing.names import Names, text_name
from ci_scripts.views.clean_text import for_terminal

MAX_FILES = 5000
MAX_FOLDERS = 1000
MAX_ENTRIES = 50_000
MAX_DEPTH = 12
MAX_REASONS = 200
LONGEST_REASON = 300
CONSOLE = ("console.txt.gz",)
TEMPEST = ("tempest.txt.gz",)
LOCAL_CONF = ("local.conf",)
LOCAL_CONFS = (("local.conf",), ("logs", "local.conf"), ("logs", "etc", "local.conf"))
Kind = Literal["text", "plain text", "ours", "ours compressed"]

# What ci-summarize-results writes. The same names below trials/ were written by a node.
_OURS: tuple[tuple[tuple[str, ...], tuple[str, ...], Kind], ...] = (
    (("report", "index.html"), ("report", "index.html"), "ours"),
    (("report", "junit.xml"), ("junit.xml.gz",), "ours compressed"),
    (("logs", "testr_results.html"), ("testr_results.html.gz",), "ours compressed"),
    (("tests.json",), ("tests.json.gz",), "ours compressed"),
    (("verdict.json",), ("verdict.json",), "ours"),
)
_NODE_FILES = ("run.json", "reproduce.sh")
_NODE_FOLDERS = ("stages", "logs")


@dataclass(frozen=True)
class Item:
    """One file to publish: where it is in the workspace, its name among what is published, and in which form.

    ``size`` (bytes) and ``modified`` (seconds since 1970) as the workspace has them. ``more``: files that follow it
    under the same name, each with its own name as a heading.
    """

    source: tuple[str, ...]
    name: tuple[str, ...]
    kind: Kind
    size: int
    modified: float
    more: tuple[Item, ...] = ()

    def all_sources(self) -> tuple[Item, ...]:
        """Itself and those that follow it."""
        return (self, *self.more)


@dataclass
class Selection:
    """What is published, by name, and one line for each thing that is not, with the reason."""

    items: list[Item] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    passed_over: int = 0

    def leave_out(self, parts: tuple[str, ...], reason: str) -> None:
        """Note that something is not published."""
        self.passed_over += 1
        if len(self.left_out) < MAX_REASONS:
            self.left_out.append(f"{for_terminal('/'.join(parts), one_line=True)[:LONGEST_REASON]}: {reason}")

    def reasons(self) -> list[str]:
        """The notes, and how many more there were."""
        more = self.passed_over - len(self.left_out)
        return [*self.left_out, *([f"and {more} more"] if more else [])]


def select(root: Path, mask: Mask, *, judged: bool) -> Selection:
    """Look through the workspace ``root``, following no link.

    ``judged``: there is a verdict of the trusted side, which wrote the reports; else nothing here is ours.
    """
    return _Selector(root, mask).select(judged)


class _Selector:
    def __init__(self, root: Path, mask: Mask) -> None:
        self._root = root
        self._mask = mask
        self._names = Names()
        self._entries = self._folders = 0
        self._selection = Selection()

    def select(self, judged: bool) -> Selection:
        ours = _OURS if judged else ()
        special = {source for source, _, _ in _OURS} | {("logs", "console.log"), ("stages", "publish-logs.json")}
        for source, name, kind in ours:
            self._add(source, name, kind)
        self._add(("logs", "console.log"), CONSOLE, "text")
        for source in LOCAL_CONFS:
            if self._add(source, LOCAL_CONF, "plain text"):
                special.add(source)
                break
        node = [*self._node_files(()), *self._trials()]
        self._tempest([item for item in node if item.source not in special])
        for item in node:
            if item.source not in special:
                self._take(item)
        self._selection.items.sort(key=lambda item: item.name)
        return self._selection

    def _node_files(self, above: tuple[str, ...]) -> Iterator[Item]:
        for name in _NODE_FILES:
            yield from self._item((*above, name))
        for folder in _NODE_FOLDERS:
            yield from self._below((*above, folder))

    def _trials(self) -> Iterator[Item]:
        for name, _ in self._listed(("trials",)):
            if not name.startswith("."):
                yield from self._node_files(("trials", name))

    def _tempest(self, node: list[Item]) -> None:
        """One file of Tempest's logs: its own, and those of its workers."""
        own = [item for item in node if item.source[:1] == ("logs",) and _is_tempest_log(item.source[1:])]
        if own:
            first = own[0]
            size, modified = sum(item.size for item in own), max(item.modified for item in own)
            self._take(Item(first.source, TEMPEST, "text", size, modified, tuple(own[1:])))

    def _add(self, source: tuple[str, ...], name: tuple[str, ...], kind: Kind) -> bool:
        found = False
        for item in self._item(source):
            self._take(Item(source, name, kind, item.size, item.modified))
            found = True
        return found

    def _take(self, item: Item) -> None:
        if len(self._selection.items) >= MAX_FILES:
            self._selection.leave_out(item.source, f"there are more than {MAX_FILES} files")
            return
        name = self._names.claim(item.name)
        self._selection.items.append(Item(item.source, name, item.kind, item.size, item.modified, item.more))

    def _item(self, source: tuple[str, ...]) -> Iterator[Item]:
        try:
            found = os.lstat(self._root.joinpath(*source))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._selection.leave_out(source, error.strerror or "cannot be read")
            return
        if reason := _not_a_file(found):
            self._selection.leave_out(source, reason)
            return
        masked = tuple(self._mask.text(part) for part in source)
        yield Item(source, text_name(masked), "text", found.st_size, found.st_mtime)

    def _below(self, folder: tuple[str, ...]) -> Iterator[Item]:
        for name, is_folder in self._listed(folder):
            parts = (*folder, name)
            if name.startswith("."):
                self._selection.leave_out(parts, "its name starts with a dot")
            elif name.endswith((".subunit", ".subunit.gz")):
                self._selection.leave_out(parts, "a stream of results, which are in the report")
            elif not is_folder:
                yield from self._item(parts)
            elif len(parts) >= MAX_DEPTH:
                self._selection.leave_out(parts, "is nested too deeply")
            elif self._folders >= MAX_FOLDERS:
                self._selection.leave_out(parts, f"there are more than {MAX_FOLDERS} folders")
            else:
                self._folders += 1
                yield from self._below(parts)

    def _listed(self, folder: tuple[str, ...]) -> list[tuple[str, bool]]:
        """Names in a folder that is none of a link's, sorted, and whether each is a folder itself."""
        try:
            for length in range(1, len(folder) + 1):
                found = os.lstat(self._root.joinpath(*folder[:length]))
                if not stat.S_ISDIR(found.st_mode):
                    kind = "is a link" if stat.S_ISLNK(found.st_mode) else "is no folder"
                    self._selection.leave_out(folder[:length], kind)
                    return []
            names = []
            with os.scandir(self._root.joinpath(*folder)) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MAX_ENTRIES:
                        self._selection.leave_out(folder, f"there are more than {MAX_ENTRIES} entries")
                        break
                    names.append((entry.name, entry.is_dir(follow_symlinks=False)))
            return sorted(names)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._selection.leave_out(folder, error.strerror or "cannot be read")
            return []


def _is_tempest_log(below_logs: tuple[str, ...]) -> bool:
    folder, last = below_logs[:-1], below_logs[-1].removesuffix(".gz")
    return last in ("tempest.log", "tempest.txt") or (folder == ("tempest",) and last.endswith((".log", ".txt")))


def _not_a_file(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "is a link"
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    return "has a second name (a hard link)" if found.st_nlink > 1 else None
