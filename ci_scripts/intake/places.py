"""Which names are taken: the files that a verdict is made from, and the logs. All others stay where they are."""

from __future__ import annotations

import re
from typing import Literal

from ci_scripts.intake.limits import Limits

RUN, STAGES, LOGS, TRIALS = "run.json", "stages", "logs", "trials"
TOPS = (RUN, STAGES, LOGS, TRIALS)
# A folder of a workspace that holds something else: it is not the folder that a workspace was copied into.
NO_PREFIX = frozenset((*TOPS, "src", "environments", "gate", "report"))
# What these stages write is written on the trusted side.
NOT_OF_THE_NODE = frozenset(f"{name}.json" for name in ("summarize-results", "publish-logs", "report-to-gerrit"))
# A page that ci-summarize-results makes anew.
OURS = frozenset({"testr_results.html"})
STAGE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.json\Z")
TRIAL = re.compile(r"[1-9][0-9]?-(?:control|change)\Z")
# Of logs/, what rules are asked about. Cut or left out, it could tell another story than it told on the node.
EVIDENCE = re.compile(
    r"[^/]+\.(?:json|jsonl|subunit)|packages\.txt|selected-tests\.txt|gate/gate-status\.json|reruns/.+"
)
Parts = tuple[str, ...]
How = Literal["log", "stream", "record"]


def parts_of(name: str, limits: Limits) -> Parts:
    """The parts of a name below the source's root; none for the root itself.

    Raises ValueError saying what is wrong with a name that could lead elsewhere or that nobody can read.
    """
    if name.startswith("/"):
        raise ValueError("is an absolute path")
    if "\\" in name:
        raise ValueError("has a backslash")
    # Not printable are controls, halves of surrogate pairs (a name that is no UTF-8), and signs that turn the writing.
    if not name.isprintable():
        raise ValueError("has characters that cannot be printed")
    if len(name.encode()) > limits.path:
        raise ValueError(f"is longer than {limits.path} bytes")
    plain = name.removesuffix("/")
    while plain.startswith("./"):
        plain = plain[2:]
    if plain in ("", "."):
        return ()
    parts = tuple(plain.split("/"))
    if ".." in parts:
        raise ValueError("has a part '..'")
    if "" in parts or "." in parts:
        raise ValueError("has an empty part")
    if max(len(part.encode()) for part in parts) > limits.name:
        raise ValueError(f"has a part longer than {limits.name} bytes")
    if len(parts) > limits.depth:
        raise ValueError(f"is nested more than {limits.depth} deep")
    return parts


def is_taken(parts: Parts) -> bool:
    """Whether a file of this name is one that is taken."""
    if parts[0] == TRIALS:
        return len(parts) > 2 and TRIAL.match(parts[1]) is not None and parts[2] != TRIALS and is_taken(parts[2:])
    if parts[0] == RUN:
        return len(parts) == 1
    if parts[0] == STAGES:
        return len(parts) == 2 and STAGE_FILE.match(parts[1]) is not None and parts[1] not in NOT_OF_THE_NODE
    if parts[0] == LOGS:
        ours = len(parts) == 2 and parts[1] in OURS
        return len(parts) > 1 and not ours and not any(part.startswith(".") for part in parts)
    return False


def is_evidence(parts: Parts) -> bool:
    """Whether the rules look at this file. Without all of it a change is neither blamed nor passed."""
    inner = parts[2:] if parts[0] == TRIALS else parts
    return inner[0] != LOGS or EVIDENCE.fullmatch("/".join(inner[1:])) is not None


def how_taken(parts: Parts) -> How:
    """How one that is too large is taken: head and tail of a log, the head of a stream, nothing of a record."""
    name = parts[-1]
    if name.endswith((".subunit", ".jsonl", ".gz", ".xz", ".bz2", ".zst", ".zip")):
        return "stream"
    whole = name.endswith(".json") or name in ("packages.txt", "selected-tests.txt")
    return "record" if whole and is_evidence(parts) else "log"


class Prefix:
    """The one folder that a source may have around everything (Jenkins' ``archive/``); the first name decides."""

    def __init__(self) -> None:
        self._found: Parts | None = None

    def without(self, parts: Parts) -> Parts | None:
        """The parts below that folder; None for a name that is not taken."""
        if self._found is None:
            if is_taken(parts):
                self._found = ()
            elif len(parts) > 1 and parts[0] not in NO_PREFIX and is_taken(parts[1:]):
                self._found = parts[:1]
            else:
                return None
        length = len(self._found)
        inner = parts[length:] if parts[:length] == self._found else ()
        return inner if inner and is_taken(inner) else None
