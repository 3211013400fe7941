"""Whether a change touches only files that do not matter to the job. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

COMMIT_MESSAGE = "/COMMIT_MSG"


def only_irrelevant(files: Sequence[str], patterns: Sequence[str]) -> bool:
    """True when every changed file matches one of the patterns: the job need not run.

    As Zuul's ``irrelevant-files`` (MatchAllFiles in zuul/change_matcher.py): Gerrit's /COMMIT_MSG does not count, and
    a change without files (a merge, or a message only) is never skipped. One difference: a pattern may match anywhere
    in the name (``\\.rst$``), where Zuul's start at its beginning; those that start with ``^`` mean the same in both.
    """
    counted = [name for name in files if name != COMMIT_MESSAGE]
    compiled = [re.compile(pattern) for pattern in patterns]
    return bool(counted) and all(any(pattern.search(name) for pattern in compiled) for name in counted)
