"""Names under which files of a node are published: such that no web server takes them for anything but text."""

from __future__ import annotations

import re

LONGEST = 120
TEXT_ENDING = ".txt.gz"
# Apache looks at every dot of a name: x.php.txt may be run as PHP. Dots stay before endings that mean nothing to it.
_DOTTED = re.compile(r"\.(?!(?:log|out|err|txt|conf|ini|json|jsonl|yaml|yml|csv|[0-9]{1,8})(?:\.|$))", re.IGNORECASE)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._+@=,-]")


def plain_part(part: str) -> str:
    """One part of a path in plain ASCII: no dot or dash in front, no dot that a server could give a meaning."""
    plain = _DOTTED.sub("_", _NOT_PLAIN.sub("_", part))
    if plain.startswith((".", "-")):
        plain = f"_{plain[1:]}"
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 40]}_{plain[-39:].lstrip('.-')}"


def text_name(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The published path of a node's file: ``logs/neutron.log`` becomes ``logs/neutron.log.txt.gz``."""
    *folders, last = (plain_part(part) for part in (*parts[:-1], parts[-1].removesuffix(".gz") or "_"))
    return (*folders, last.removesuffix(".txt") + TEXT_ENDING)


class Names:
    """Keeps two files from being published under one name."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, ...]] = set()

    def claim(self, name: tuple[str, ...]) -> tuple[str, ...]:
        """``name``, or one like it with a number where it is taken."""
        *folders, last = name
        stem, ending = (last.removesuffix(TEXT_ENDING), TEXT_ENDING) if last.endswith(TEXT_ENDING) else (last, "")
        number, chosen = 1, name
        while chosen in self._taken:
            number += 1
            chosen = (*folders, f"{stem}-{number}{ending}")
        self._taken.add(chosen)
        return chosen
