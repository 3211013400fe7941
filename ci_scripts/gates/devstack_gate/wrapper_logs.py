"""The wrapper's logs as plain files in logs/gate/devstack-gate/, masked and within bounds.

The change had root's rights on the node by then: below BASE there may be a link to anything, a FIFO, or a file without
an end. No link is followed, only regular files are taken, and what is left out is listed in left-out.txt.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.workspace import write_text_atomically

MIB = 1024 * 1024
BLOCK = 256 * 1024
MASK = b"***"
# Their content is coded: no value in it could be masked.
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".zip")
HOOK_OUTPUT = "devstack-gate-"


@dataclass(frozen=True)
class Bounds:
    """Numbers of files and folders, bytes. A file larger than ``head`` and ``tail`` loses its middle."""

    files: int = 5_000
    folders: int = 2_000
    depth: int = 8
    head: int = 24 * MIB
    tail: int = 8 * MIB
    total: int = 1024 * MIB


DEFAULT = Bounds()


def collect(layout: WrapperLayout, secrets: Sequence[str], bounds: Bounds = DEFAULT) -> int:
    """Copy what the wrapper left; the number of files. What cannot be read is listed, never raised.

    The logs are in its WORKSPACE until they are moved to BASE, where a hook's output then goes in any case; what a
    hook that was killed had said stays in WORKSPACE.
    """
    shutil.rmtree(layout.collected, ignore_errors=True)
    layout.collected.mkdir(parents=True)
    copier = _Copier(layout.collected, tuple(secret.encode() for secret in secrets if secret), bounds)
    # On a node that was used before, BASE has logs already: those of this run stay in WORKSPACE, and win.
    copier.folder(layout.base_logs, "")
    copier.folder(layout.logs, "")
    copier.folder(layout.root, "", prefix=HOOK_OUTPUT, deep=False)
    if copier.left_out:
        write_text_atomically(layout.collected / "left-out.txt", "".join(f"{line}\n" for line in copier.left_out))
    return copier.count


@dataclass
class _Copier:
    target: Path
    secrets: tuple[bytes, ...]
    bounds: Bounds
    count: int = 0
    folders: int = 0
    written: int = 0
    left_out: list[str] = field(default_factory=list)

    def folder(self, folder: Path, below: str, *, prefix: str = "", deep: bool = True) -> None:
        try:
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            # The wrapper makes WORKSPACE/logs a link to BASE/logs: that folder is read by its own name.
            if not folder.is_symlink():
                self._leave_out(str(folder), error.strerror or "cannot be opened")
            return
        try:
            self._entries(number, below, 0, prefix, deep)
        finally:
            os.close(number)

    def _entries(self, number: int, below: str, depth: int, prefix: str, deep: bool) -> None:
        for name in sorted(os.listdir(number)):
            shown = f"{below}{name}"
            if not name.startswith(prefix):
                continue
            if not name.isprintable() or name.startswith(".") or "\\" in name:
                self._leave_out(ascii(shown), "not a plain name")
                continue
            try:
                mode = os.stat(name, dir_fd=number, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and deep:
                    self._inner(number, name, shown, depth)
                elif stat.S_ISREG(mode):
                    self._file(number, name, shown)
                elif not stat.S_ISDIR(mode):
                    self._leave_out(shown, "neither a file nor a folder")
            except OSError as error:
                self._leave_out(shown, error.strerror or type(error).__name__)

    def _inner(self, number: int, name: str, shown: str, depth: int) -> None:
        self.folders += 1
        if depth >= self.bounds.depth or self.folders > self.bounds.folders:
            self._leave_out(f"{shown}/", "too many folders")
            return
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=number)
        try:
            self._entries(inner, f"{shown}/", depth + 1, "", True)
        finally:
            os.close(inner)

    def _file(self, number: int, name: str, shown: str) -> None:
        if self.count >= self.bounds.files or self.written >= self.bounds.total:
            self._leave_out(shown, "too many logs")
            return
        if self.secrets and name.endswith(COMPRESSED):
            self._leave_out(shown, "compressed: lab credentials could not be masked in it")
            return
        # O_NONBLOCK: what was a file a moment ago may be a FIFO now.
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=number)
        with open(source, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                self._leave_out(shown, "neither a file nor a folder")
                return
            target = self.target / shown
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as copy:
                for piece in self._masked(self._blocks(stream.fileno())):
                    copy.write(piece)
                    self.written += len(piece)
            self.count += 1

    def _blocks(self, number: int) -> Iterator[bytes]:
        size, bounds = os.fstat(number).st_size, self.bounds
        parts = [(0, size)]
        if size > bounds.head + bounds.tail:
            parts = [(0, bounds.head), (size - bounds.tail, size)]
        for place, end in parts:
            if place:
                yield f"\n[... {place - bounds.head} bytes left out ...]\n".encode()
            while place < end and (block := os.pread(number, min(BLOCK, end - place), place)):
                place += len(block)
                yield block

    def _masked(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        keep = max((len(secret) for secret in self.secrets), default=1) - 1
        held = b""
        for block in blocks:
            held += block
            for secret in self.secrets:
                held = held.replace(secret, MASK)
            cut = len(held) - keep
            if cut > 0:
                yield held[:cut]
                held = held[cut:]
        yield held

    def _leave_out(self, shown: str, why: str) -> None:
        if len(self.left_out) < self.bounds.files:
            self.left_out.append(f"{shown}: {why}")
