"""The end of a log that the node's root may have written, for an error's reason."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from ci_scripts.verdict.untrusted_file import open_regular

TAIL_BYTES = 256 * 1024
# What a packed one may give in all.
UNPACKED_BYTES = 16 * 1024 * 1024


def tail_of(path: Path) -> str | None:
    """The last 256 KiB of a plain or gzipped file, None where there is none that can be read.

    Neither it nor its folder may be a link.
    """
    if path.parent.is_symlink():
        return None
    try:
        with open_regular(path, path.parent) as stream:
            if path.name.endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    return unpacked.read(UNPACKED_BYTES)[-TAIL_BYTES:].decode(errors="replace")
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - TAIL_BYTES))
            return stream.read(TAIL_BYTES).decode(errors="replace")
    except (OSError, EOFError, zlib.error):
        return None
