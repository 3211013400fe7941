"""What kind of source it is, folder, tar or zip, by what it holds and not by its name; and its members."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from ci_scripts.intake.expand import Allowance, Expanded
from ci_scripts.intake.folder import OPEN_FILE, OPEN_FOLDER, folder_members
from ci_scripts.intake.limits import Limits
from ci_scripts.intake.members import Member, SourceCut
from ci_scripts.intake.tar_members import tar_members
from ci_scripts.intake.zip_members import zip_members

ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
ZSTD = b"\x28\xb5\x2f\xfd"


@contextlib.contextmanager
def open_source(path: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> Iterator[Iterator[Member]]:
    """The members of a folder or an archive. Whatever is wrong with the source is raised as SourceCut.

    ``path`` itself may be no link: the node may have left it, and it could lead to another run.
    """
    with contextlib.ExitStack() as stack:
        members = stack.enter_context(contextlib.closing(_members(path, limits, clock, stack)))
        yield members


def _members(
    path: Path, limits: Limits, clock: Callable[[], float], stack: contextlib.ExitStack
) -> Generator[Member, None, None]:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise SourceCut("it is a link: name what it leads to")
        is_folder = stat.S_ISDIR(mode)
        if not is_folder and not stat.S_ISREG(mode):
            raise SourceCut("it is neither a folder nor an archive")
        descriptor = os.open(path, OPEN_FOLDER if is_folder else OPEN_FILE)
    except FileNotFoundError as error:
        raise SourceCut("there is nothing of that name") from error
    except OSError as error:
        raise SourceCut(f"it cannot be opened: {error.strerror}") from error
    if is_folder:
        stack.callback(os.close, descriptor)
        yield from folder_members(descriptor, Allowance(limits, 0, clock))
        return
    stream = stack.enter_context(os.fdopen(descriptor, "rb"))
    allowance = Allowance(limits, os.fstat(descriptor).st_size, clock)
    try:
        magic = stream.peek(4)[:4]
        if magic.startswith(ZSTD):
            raise SourceCut("it is compressed with zstd, which is not read: take gzip")
        if magic.startswith(ZIPS):
            yield from zip_members(stream, allowance)
        else:
            yield from tar_members(Expanded(stream, allowance), allowance)
    except OSError as error:
        raise SourceCut(f"it cannot be read: {error.strerror or error}") from error
