"""Reading what DevStack left on the node: other users' files, bounded, no links followed, secrets masked on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.stack_user import StackUser, content_for

READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
SMALL_BYTES = 1024 * 1024
LINE_BYTES = 64 * 1024
MASK = b"***"


def read_small(context: GateContext, user: StackUser, path: Path) -> str:
    """A configuration file of at most 1 MiB, read as ourselves, else as DevStack's user, else as root.

    Raises InfrastructureError where nobody can read it, or it is larger or no plain file.
    """
    try:
        number = os.open(path, READ_ONLY)
        with open(number, "rb") as stream:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise InfrastructureError(f"{path} is no plain file.")
            data = stream.read(SMALL_BYTES + 1)
    except PermissionError:
        words = ["head", "-c", str(SMALL_BYTES + 1), "--", str(path)]
        done = content_for(context, user.argv(words))
        if done.exit_code != 0:
            done = content_for(context, user.root_argv(words))
        if done.exit_code != 0:
            raise InfrastructureError(f"{path} cannot be read, also not as {user.name} or root.") from None
        data = done.output.encode()
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > SMALL_BYTES:
        raise InfrastructureError(f"{path} is larger than {SMALL_BYTES} bytes.")
    return data.decode(errors="replace")


def copy_masked(source: Path, target: Path, secrets: Sequence[str], most: int) -> int:
    """Copy at most ``most`` bytes of a plain file, its end where it is larger; the number of bytes written.

    Secrets are masked line by line. Raises OSError for what is no plain file or cannot be read or written.
    """
    hidden = [secret.encode() for secret in secrets if secret]
    number = os.open(source, READ_ONLY)
    with open(number, "rb") as stream:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(f"{source} is no plain file")
        size = os.fstat(number).st_size
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        # Renamed: somebody may still be writing to the old one.
        making = target.with_name(f".{target.name}.making")
        with open(making, "wb") as sink:
            if size > most:
                stream.seek(size - most)
                sink.write(f"(the first {size - most} bytes are left out)\n".encode())
                stream.readline(LINE_BYTES)
            for line in _lines(stream, most):
                for secret in hidden:
                    line = line.replace(secret, MASK)
                written += sink.write(line)
        making.replace(target)
    return written


def _lines(stream: BinaryIO, most: int) -> Iterator[bytes]:
    left = most
    while left > 0 and (line := stream.readline(min(left, LINE_BYTES))):
        left -= len(line)
        yield line
