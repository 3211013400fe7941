"""stestr's runner in the environment of the unit tests, which has nothing of ours: this file runs there by its path.

What tests print goes to standard error, which is the worker's log: in the middle of the stream on standard output
megabytes without a line's end take readers of subunit minutes.

Neutron's own base class for tests silences Neutron's logging, so the one line that says which mechanism drivers were
loaded (neutron/plugins/ml2/managers.py) is taken from its logger on the way and kept in a file: it is the proof.
"""

from __future__ import annotations

import datetime
import io
import logging
import os
import runpy
import sys
from typing import BinaryIO

LOG = "CI_LOADED_DRIVERS_LOG"
LOGGER = "neutron.plugins.ml2.managers"
LINE = "Loaded mechanism driver names"


def keep_the_line(path: str) -> None:
    """Have each such line written to ``path``; whatever else is logged goes where it would go without us."""
    logger = logging.getLogger(LOGGER)

    def take(record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(LINE):
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            with open(path, "a") as log:
                log.write(f"{now} {os.getpid()} {record.name} {record.getMessage()}\n")
        above = logger.parent.getEffectiveLevel() if logger.parent is not None else logging.WARNING
        return record.levelno >= above

    logger.setLevel(logging.INFO)
    logger.addFilter(take)


class Printed(io.TextIOWrapper):
    """Standard output as tests see it. stestr's runner writes its stream to ``buffer``, which is another file."""

    stream: BinaryIO

    @property
    def buffer(self) -> BinaryIO:
        """Where the stream goes."""
        return self.stream


def keep_the_stream_clean() -> None:
    """What is printed, by child processes too, goes to standard error from now on; the stream stays where it is."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    printed = Printed(os.fdopen(os.dup(2), "wb", buffering=0), errors="backslashreplace", write_through=True)
    printed.stream = stream
    sys.stdout = printed


if __name__ == "__main__":
    path = os.environ.pop(LOG, "")
    if path:
        keep_the_line(path)
    keep_the_stream_clean()
    # As "python -m" has it: the project's own modules come first, not the folder of this file.
    sys.path[0] = os.getcwd()
    runpy.run_module("stestr.subunit_runner.run", run_name="__main__", alter_sys=True)
