"""The files of a folder, opened from folder to folder without following a link, whoever changes it meanwhile."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from ci_scripts.intake.expand import Allowance
from ci_scripts.intake.members import CHUNK, FILE, Member, MemberUnreadable, SourceCut
from ci_scripts.intake.places import NO_PREFIX, TOPS

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe for reading would wait for a writer.
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def folder_members(folder: int, allowance: Allowance) -> Iterator[Member]:
    """What is below an open folder (or below the only folder in it), by name; run.json and the stages first.

    Of the folder itself only the names of a workspace are looked at. Raises SourceCut beyond a limit, or where the
    folder itself cannot be listed.
    """
    try:
        names = _names(folder, allowance)
        if set(names) & set(TOPS):
            yield from _below(folder, "", [name for name in TOPS if name in names], allowance, 0)
            return
        around = [name for name in names if name not in NO_PREFIX and _is_folder(folder, name)]
        if len(around) != 1:
            return
        with _opened(folder, around[0]) as below:
            names = _names(below, allowance)
            yield from _below(below, f"{around[0]}/", [name for name in TOPS if name in names], allowance, 1)
    except OSError as error:
        raise SourceCut(f"a folder cannot be listed: {error.strerror}") from error


def _below(folder: int, path: str, names: list[str], allowance: Allowance, depth: int) -> Iterator[Member]:
    for name in names:
        allowance.member()
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except OSError as error:
            yield Member(path + name, _gone(error))
            continue
        if not stat.S_ISDIR(mode):
            yield from _file(folder, path, name, mode, allowance)
        elif depth >= allowance.limits.depth:
            yield Member(path + name, "nested too deeply")
        else:
            yield from _folder(folder, path, name, allowance, depth)


def _folder(folder: int, path: str, name: str, allowance: Allowance, depth: int) -> Iterator[Member]:
    try:
        with _opened(folder, name) as below:
            names = _names(below, allowance)
            yield from _below(below, f"{path}{name}/", names, allowance, depth + 1)
    except OSError as error:
        yield Member(path + name, _gone(error))


def _file(folder: int, path: str, name: str, mode: int, allowance: Allowance) -> Iterator[Member]:
    # Not opened before it is known what it is: opening a device can have effects.
    if not stat.S_ISREG(mode):
        yield Member(path + name, KINDS.get(stat.S_IFMT(mode), "of an unknown kind"))
        return
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=folder)
    except OSError as error:
        yield Member(path + name, _gone(error))
        return
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            yield Member(path + name, KINDS.get(stat.S_IFMT(found.st_mode), "of an unknown kind"))
        elif found.st_nlink > 1:
            yield Member(path + name, "a hard link")
        else:
            content = _Content(descriptor, found.st_size, allowance)
            yield Member(path + name, FILE, found.st_size, content.read, content.skip)
    finally:
        os.close(descriptor)


class _Content:
    """The bytes of an open file, as many as there were when it was opened: somebody may still write to it."""

    def __init__(self, descriptor: int, size: int, allowance: Allowance) -> None:
        self._descriptor, self._left, self._allowance = descriptor, size, allowance

    def read(self, count: int) -> bytes:
        self._allowance.time()
        try:
            data = os.read(self._descriptor, min(count, self._left, CHUNK))
        except OSError as error:
            raise MemberUnreadable(f"cannot be read: {error.strerror}") from error
        self._left -= len(data)
        return data

    def skip(self, count: int) -> None:
        count = min(count, self._left)
        os.lseek(self._descriptor, count, os.SEEK_CUR)
        self._left -= count


def _names(folder: int, allowance: Allowance) -> list[str]:
    """Files before folders, each by name: large logs below cannot use up what evidence needs."""
    found: list[tuple[bool, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            found.append((entry.is_dir(follow_symlinks=False), entry.name))
            if len(found) > allowance.limits.members:
                raise SourceCut(f"it holds more than {allowance.limits.members} names")
    return [name for _, name in sorted(found)]


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def _opened(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, OPEN_FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _gone(error: OSError) -> str:
    return f"not there to be read ({error.strerror})"
