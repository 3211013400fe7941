"""Which verdicts have a signature: by their comment, or by the verdict.json that was published with their logs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ci_scripts.errors import ConfigurationError
from ci_scripts.verdict.line_patterns import LinePatterns
from ci_scripts.verdict.signatures import load_signatures
from ci_scripts.verdict.untrusted_file import read_object
from ci_scripts.withdrawal.own_comments import OwnComment
from ci_scripts.withdrawal.selection import Asked

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings

VERDICT = "verdict.json"


def signature_finder(settings: Settings, signature: str) -> Asked:
    """Whether a verdict has ``signature``: its id in the comment, a line of the comment that looks like it, or its id
    in the published verdict.json, where that is on this machine.

    Raises ConfigurationError for an id that no signature has.
    """
    if not signature:
        return lambda comment: True
    known = {entry.id: entry.pattern for entry in load_signatures(settings.verdict.signatures)}
    if signature not in known:
        raise ConfigurationError(
            f"there is no signature {ascii(signature)}.", next_step="see docs/signatures.md for those that there are."
        )
    patterns = LinePatterns([known[signature]])
    word = re.compile(rf"(?<![\w-]){re.escape(signature)}(?![\w-])")

    def has(comment: OwnComment) -> bool:
        text = comment.message.text
        if word.search(text) or any(patterns.in_line(line) for line in text.encode().splitlines()):
            return True
        return any(_names(path, signature) for path in _published(settings, comment))

    return has


def _published(settings: Settings, comment: OwnComment) -> list[Path]:
    """Where the verdicts of the jobs lie that a comment links to, as far as they are on this machine."""
    if settings.logs is None or not settings.logs.publish_to.startswith("/"):
        return []
    root, start = Path(settings.logs.publish_to), settings.logs.url.rstrip("/") + "/"
    links = [job.url for job in comment.jobs if job.url and job.url.startswith(start)]
    below = [unquote(link.removeprefix(start).partition("#")[0].partition("?")[0]) for link in links]
    parts = [[part for part in path.split("/") if part and part != "index.html"] for path in below]
    return [root.joinpath(*names, VERDICT) for names in parts if names and ".." not in names]


def _names(path: Path, signature: str) -> bool:
    try:
        verdict = read_object(path)
    except (OSError, ValueError):
        return False
    entries = verdict.get("evidence")
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return any(
        entry.get("kind") == "signature" and str(entry.get("text", "")).startswith(f"{signature}:") for entry in found
    )
