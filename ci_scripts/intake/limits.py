"""How much is taken from a node at most, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bytes unless said otherwise.

    ``members``: names looked at, taken or not; ``files``: files taken. A log that is larger than ``log_head`` and
    ``log_tail`` loses its middle, a stream of results what is beyond ``stream``, a record larger than ``record`` is
    not taken. ``total``: what is written in all. ``expanded``: what a compressed archive may give in all, members
    that are not taken included; beyond ``ratio_free`` it may give ``ratio`` times its own size. ``directory``: a zip
    file's list of members. ``header``: one extended header of a tar archive. ``seconds``: all of it together.
    """

    members: int = 200_000
    files: int = 20_000
    folders: int = 20_000
    depth: int = 20
    path: int = 1024
    name: int = 255
    log_head: int = 96 * MIB
    log_tail: int = 32 * MIB
    stream: int = 512 * MIB
    record: int = 32 * MIB
    total: int = 4096 * MIB
    expanded: int = 16 * 1024 * MIB
    ratio: int = 200
    ratio_free: int = 64 * MIB
    directory: int = 16 * MIB
    header: int = MIB
    seconds: float = 900.0


DEFAULT = Limits()
