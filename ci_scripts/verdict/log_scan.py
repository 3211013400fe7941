"""One pass over the logs of a workspace for all signatures: bounded in memory, whatever a node left there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_scripts.untrusted_words import without_control_characters
from ci_scripts.verdict.byte_source import blocks_of
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.line_scan import MOST_COUNTED, FirstSeen, LineScan
from ci_scripts.verdict.signatures import Signature
from ci_scripts.verdict.untrusted_file import open_regular

# What one file and all files together may hold after decompression.
MAX_FILE = 1024 * 1024 * 1024
MAX_BYTES = 2 * MAX_FILE
MAX_ENTRIES = 20_000
MAX_DEPTH = 20
MAX_TRIALS = 100
MAX_PROBLEMS = 50
# A signature is listed for so many files; then it is looked for no more.
MOST_LISTED = 200
# Not logs: results, and what the stages wrote for the trusted side, which is read elsewhere.
_NO_LOG = re.compile(
    r".*\.subunit(\.gz)?|testr_results\.html(\.gz)?|(probes|resources)\.jsonl"
    r"|(driver|leftovers)\.json|packages\.txt|selected-tests\.txt"
)


@dataclass(frozen=True)
class SignatureHit:
    """A signature in a file: its first line there, and in how many lines it was seen (at most ``MOST_COUNTED``).

    ``file`` is relative to the workspace. ``text`` is the line, or the part of it around the match, in at most 300
    characters, none of them a control character. ``time`` is the line's own, ISO 8601: in UTC with Z where the line
    names a zone, else as the log has it; None where the line does not start with a date and a time.
    """

    id: str
    blame: str
    meaning: str
    what_to_do: str
    file: str
    line: int
    text: str
    count: int
    time: str | None

    def as_evidence(self) -> Evidence:
        """The hit as a fact of a decision."""
        text = f"{self.id}: {self.meaning} {self.text}"
        if self.count > 1:
            text += f" (in {'at least ' if self.count >= MOST_COUNTED else ''}{self.count} lines)"
        return Evidence("signature", self.time, text, self.file, self.line)


@dataclass(frozen=True)
class ScanReport:
    """``files`` and ``bytes`` (after decompression) that were looked at; ``problems``: what was not, and why."""

    hits: tuple[SignatureHit, ...]
    files: int
    bytes: int
    problems: tuple[str, ...]


def scan_logs(root: Path, signatures: Sequence[Signature], *, inside_trials: bool = False) -> ScanReport:
    """Look for the signatures in ``logs/`` of a workspace, and with ``inside_trials`` in its trials' ``logs/`` too.

    Hits come by file, line and id. Gzip is read as a stream. Links, FIFOs and devices are refused, streams of
    subunit passed over; bounds on lines, files and bytes end up in ``problems``. Never raises on account of a file.
    """
    scan = _Scan(root, tuple(sorted(signatures, key=lambda signature: signature.id)))
    for workspace in (root, *(_trials(root) if inside_trials else ())):
        scan.workspace(workspace)
    return scan.report()


class _Scan:
    def __init__(self, root: Path, signatures: tuple[Signature, ...]) -> None:
        self._root = root
        self._signatures = signatures
        self._hits: list[SignatureHit] = []
        self._listed: Counter[str] = Counter()
        self._problems: list[str] = []
        self._entries = 0
        self._files = 0
        self._bytes = 0

    def workspace(self, workspace: Path) -> None:
        """Look into every log of the root's workspace or of a trial's."""
        for path in self._files_below(workspace / "logs", 0):
            name = path.relative_to(workspace).as_posix()
            wanted = tuple(
                entry for entry in self._signatures if self._listed[entry.id] < MOST_LISTED and entry.looks_at(name)
            )
            if wanted and not _NO_LOG.fullmatch(path.name):
                self._look_into(path, wanted)

    def report(self) -> ScanReport:
        hits = sorted(self._hits, key=lambda hit: (hit.file, hit.line, hit.id))
        return ScanReport(tuple(hits), self._files, self._bytes, tuple(self._problems))

    def _files_below(self, folder: Path, depth: int) -> Iterator[Path]:
        """Regular files of a folder and those below it, sorted; what else is there is a problem."""
        for entry in self._entries_of(folder):
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    yield from self._files_below(path, depth + 1)
                else:
                    self._problem(path, "is nested too deeply")
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                self._problem(path, "is a link" if entry.is_symlink() else "is no regular file")

    def _entries_of(self, folder: Path) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        try:
            if folder.is_symlink():
                raise OSError("is a link")
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self._entries >= MAX_ENTRIES:
                        self._problem(folder, f"there are more than {MAX_ENTRIES} files and folders of logs")
                        break
                    self._entries += 1
                    found.append(entry)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._problem(folder, error.strerror or str(error))
        return sorted(found, key=lambda entry: entry.name)

    def _look_into(self, path: Path, wanted: tuple[Signature, ...]) -> None:
        limit = min(MAX_FILE, MAX_BYTES - self._bytes)
        if limit <= 0:
            self._problem(path, f"was not looked at, there are more than {MAX_BYTES} bytes of logs")
            return
        lines = LineScan(wanted)
        try:
            with open_regular(path, self._root) as stream:
                self._files += 1
                for block in blocks_of(stream, limit, lambda text: self._problem(path, text)):
                    self._bytes += len(block)
                    if not lines.feed(block):
                        break
        except OSError as error:
            self._problem(path, error.strerror or str(error))
        for found in lines.finish():
            self._keep(found, path)

    def _keep(self, found: FirstSeen, path: Path) -> None:
        entry = found.signature
        self._listed[entry.id] += 1
        if self._listed[entry.id] == MOST_LISTED:
            self._problem(path, f"the {MOST_LISTED}th file with {entry.id}, which was not looked for in others")
        how = (entry.id, entry.blame, entry.meaning, entry.what_to_do)
        where = (self._shown(path), found.line, found.text)
        self._hits.append(SignatureHit(*how, *where, found.count, found.time))

    def _problem(self, path: Path, text: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"{self._shown(path)}: {text}")

    def _shown(self, path: Path) -> str:
        name = os.fsencode(path.relative_to(self._root).as_posix()).decode("utf-8", "replace")
        return without_control_characters(name).replace("\n", " ")


def _trials(root: Path) -> list[Path]:
    try:
        if (root / "trials").is_symlink():
            return []
        with os.scandir(root / "trials") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return [root / "trials" / name for name in names[:MAX_TRIALS]]
