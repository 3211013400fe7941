"""What git's words mean: which failures pass by themselves, which are damage, which ref is missing. Pure."""

from __future__ import annotations

import re

# The words of git 2.30 to 2.50, of curl and of OpenSSH with LC_ALL=C.
_MISSING_REF = re.compile(r"couldn't find remote ref (?P<ref>\S+)|not our ref (?P<sha>[0-9a-f]{40,64})", re.I)
_CORRUPT = re.compile(
    r"bad object|object file \S+ is empty|not a git repository|is corrupt|bad config line|"
    r"index file \S+ is too small|packfile \S+ (?:cannot|does not|is far)|unable to read (?:tree|sha1 file)|"
    r"missing (?:blob|tree|commit)|failed to read object|unable to parse object|did not send all necessary objects|"
    r"unresolved deltas|invalid sha1 pointer|inflate: data stream error|garbage at end of loose object|"
    r"does not point to a valid object|could not read [0-9a-f]{40}|'refs/\S+' exists; cannot create",
    re.I,
)
# A transfer that was cut short leaves a half pack, whose objects look damaged too.
_CUT_SHORT = re.compile(r"early eof|unexpected disconnect|rpc failed|connection (?:reset|timed out|closed)", re.I)
_PERMANENT = re.compile(
    r"does not appear to be a git repository|permission denied|authentication failed|repository not found|"
    r"not exported|access denied|could not read (?:username|password)|host key verification failed|"
    r"returned error: 4(?!29)\d\d|transport '\S+' not allowed",
    re.I,
)
_TRANSIENT = re.compile(
    r"could not resolve|name or service not known|temporary failure in name resolution|unable to look up|"
    r"connection (?:reset|refused|timed out|closed|was)|couldn't connect|timed out|timeout|early eof|"
    r"unexpected disconnect|hung up|network is unreachable|no route to host|broken pipe|rpc failed|"
    r"returned error: (?:5\d\d|429)|gnutls|ssl_error|ssl_read|tls connection|empty reply from server|"
    r"\.lock': File exists|cannot lock ref|unable to update local ref",
    re.I,
)


def told_by_git(output: str) -> str:
    """Without what the other side's git said: its damaged repository is not ours."""
    return "\n".join(line for line in output.splitlines() if not line.startswith("remote: "))


def is_corrupt(said: str) -> bool:
    """Whether git's words tell of damaged local objects."""
    return _CORRUPT.search(said) is not None and not (_PERMANENT.search(said) or _CUT_SHORT.search(said))


def is_transient(said: str) -> bool:
    """Whether git's words tell of a failure that may pass by itself."""
    return _PERMANENT.search(said) is None and _TRANSIENT.search(said) is not None


def missing_ref(said: str) -> str | None:
    """The ref or commit that the other side does not have, None when git says nothing of the kind."""
    found = _MISSING_REF.search(said)
    return (found["ref"] or found["sha"]) if found else None
