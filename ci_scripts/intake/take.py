"""Writes what is taken below one fresh folder, and keeps account of what is not, and why."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ci_scripts.intake.limits import DEFAULT, Limits
from ci_scripts.intake.members import CHUNK, FILE, FOLDER, Member, MemberUnreadable, SourceCut
from ci_scripts.intake.places import Parts, Prefix, how_taken, is_evidence, parts_of
from ci_scripts.intake.source import open_source
from ci_scripts.untrusted_words import quoted

MOST_LINES = 50
MOST_SHOWN = 200
# What mkdir and open say where a file is in the place of a folder, or a folder in that of a file.
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
NOT_LINKED = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Taken:
    """``left_out``: one line for each thing that is not here as it was there. ``missing``: those of them, and of the
    ends of the source, without which nobody may judge the run.
    """

    files: int
    bytes: int
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def take(
    source: Path,
    target: Path,
    limits: Limits = DEFAULT,
    *,
    tick: Callable[[int, int], None] = lambda files, count: None,
    clock: Callable[[], float] = time.monotonic,
) -> Taken:
    """Take a node's files from a folder or an archive into ``target``, a folder that is empty and nobody else's.

    Whatever the source is, an account of it is returned. ``tick`` is called often, with the files and bytes so far.

    Raises OSError where ``target`` cannot be written to (a full disk).
    """
    account = _Account()
    taker = _Taker(target, limits, account, tick)
    try:
        with open_source(source, limits, clock) as members:
            for member in members:
                taker.take(member)
    except SourceCut as error:
        account.cut(f"{source.name}: {error}")
    if not taker.files and not account.missing:
        account.cut(f"{source.name}: nothing of a run is in it")
    return Taken(taker.files, taker.bytes, account.lines(), tuple(account.missing))


class _Account:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0
        self.missing: list[str] = []
        self.others = 0

    def leave(self, parts: Parts, why: str) -> None:
        """Something that would be taken is not here, or not as it was."""
        line = f"{'/'.join(parts)[:MOST_SHOWN]} {why}"
        self.note(line)
        if is_evidence(parts) and len(self.missing) < MOST_LINES:
            self.missing.append(line)

    def cut(self, line: str) -> None:
        """The source ended before its end: nobody knows what is missing."""
        self.note(line)
        self.missing.append(line)

    def note(self, line: str) -> None:
        """One line, as long as there are not too many."""
        if len(self._lines) < MOST_LINES:
            self._lines.append(line)
        else:
            self._more += 1

    def lines(self) -> tuple[str, ...]:
        more = (f"and {self._more} more",) if self._more else ()
        others = (f"{self.others} other files, of which no verdict is made",) if self.others else ()
        return (*self._lines, *more, *others)


class _Taker:
    def __init__(self, target: Path, limits: Limits, account: _Account, tick: Callable[[int, int], None]) -> None:
        self._target, self._limits, self._account, self._tick = target, limits, account, tick
        self._prefix = Prefix()
        self._folders = 0
        self.files = 0
        self.bytes = 0

    def take(self, member: Member) -> None:
        """Write one member, or account for it. Raises SourceCut where the source or a limit ends."""
        try:
            parts = parts_of(member.name, self._limits)
        except ValueError as error:
            self._account.note(f"{quoted(member.name)} {error}")
            return
        inner = self._prefix.without(parts) if parts else None
        if member.kind == FOLDER:
            return
        if inner is None:
            self._account.others += 1
        elif member.kind != FILE:
            self._account.leave(inner, f"is {member.kind}")
        elif how_taken(inner) == "record" and (member.size or 0) > self._limits.record:
            self._account.leave(inner, f"is larger than {self._limits.record} bytes")
        else:
            self._write(inner, member)

    def _write(self, parts: Parts, member: Member) -> None:
        if self.files >= self._limits.files:
            raise SourceCut(f"it holds more than {self._limits.files} files of a run")
        path = self._target.joinpath(*parts)
        try:
            self._make_folders(parts)
            descriptor = os.open(path, NOT_LINKED, 0o644)
        except OSError as error:
            if error.errno not in IN_THE_WAY:
                raise
            self._account.leave(parts, "is there a second time, or in the place of a folder: the first one counts")
            return
        self.files += 1
        whole = False
        try:
            with os.fdopen(descriptor, "wb") as out:
                os.fchmod(descriptor, 0o644)
                whole = self._copy(parts, member, out)
        except MemberUnreadable as error:
            self._account.leave(parts, str(error))
        except SourceCut:
            self._account.leave(parts, "is cut")
            raise
        finally:
            if not whole and how_taken(parts) == "record":
                # Half of it would be taken for damage, or for less than there was.
                path.unlink()
                self.files -= 1
            self._tick(self.files, self.bytes)

    def _make_folders(self, parts: Parts) -> None:
        path = self._target
        for part in parts[:-1]:
            path = path / part
            try:
                path.mkdir()
            except FileExistsError:
                if not path.is_dir():
                    raise
                continue
            self._folders += 1
            if self._folders > self._limits.folders:
                raise SourceCut(f"it holds more than {self._limits.folders} folders")

    def _copy(self, parts: Parts, member: Member, out: BinaryIO) -> bool:
        """Whether all of it was there and fits."""
        limits = self._limits
        how = how_taken(parts)
        most = {"log": limits.log_head + limits.log_tail, "stream": limits.stream, "record": limits.record}[how]
        if how == "log" and member.size is not None and member.size > most:
            self._pump(member, out, limits.log_head)
            middle = member.size - most
            _skip(member.skip, middle)
            out.write(f"\n[... {middle} bytes left out by ci-summarize-results ...]\n".encode())
            self._pump(member, out, limits.log_tail)
            self._account.leave(parts, f"is larger than {most} bytes: its middle, {middle} bytes, is left out")
            return False
        self._pump(member, out, most)
        if _read(member.read, 1):
            self._account.leave(parts, f"is larger than {most} bytes: what follows is left out")
            return False
        return True

    def _pump(self, member: Member, out: BinaryIO, most: int) -> None:
        left = most
        while left and (data := _read(member.read, min(left, CHUNK))):
            if self.bytes + len(data) > self._limits.total:
                raise SourceCut(f"it holds more than {self._limits.total} bytes of a run")
            out.write(data)
            left -= len(data)
            self.bytes += len(data)
            self._tick(self.files, self.bytes)


def _read(work: Callable[[int], bytes], count: int) -> bytes:
    try:
        return work(count)
    except OSError as error:
        raise SourceCut(f"it cannot be read: {error.strerror or error}") from error


def _skip(work: Callable[[int], None], count: int) -> None:
    try:
        work(count)
    except OSError as error:
        raise SourceCut(f"it cannot be read: {error.strerror or error}") from error
