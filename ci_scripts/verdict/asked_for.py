"""The change that the trusted side asked for, and whether a run says that it is about that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 100
NAMES = {"number": "change", "patchset": "patch set", "project": "project", "revision": "revision"}


@dataclass(frozen=True)
class AskedFor:
    """Words of a trigger that the node has no hand in. ``revision`` is None where it named none.

    ``control``: a run without a change was asked for; ``number`` and ``patchset`` are empty then.
    """

    number: str
    patchset: str
    project: str
    revision: str | None = None
    control: bool = False

    @property
    def name(self) -> str:
        """As people are told of it."""
        return (
            f"a control run of {self.project}" if self.control else f"{self.number},{self.patchset} of {self.project}"
        )

    def differences(self, run: Mapping[str, Any]) -> tuple[str, ...]:
        """Where run.json says something else: both, in one line each. Nothing where there is no run.json.

        A revision that run.json does not have yet is no difference: the node learns it when it fetches the change.
        """
        if not run:
            return ()
        change = run.get("change")
        if not isinstance(change, Mapping):
            return (f"run.json names no change; the trigger named {self.name}",)
        found = []
        if (run.get("control") is True) is not self.control:
            words = {True: "a control run", False: "a run of a change"}
            found.append(f"run.json says {words[not self.control]}, the trigger {words[self.control]}")
        for key, word in NAMES.items():
            asked, said = getattr(self, key) or None, change.get(key)
            if self.control and asked is None and said is not None and key != "revision":
                found.append(f"{word}: run.json says {_shown(said)}, a control run has none")
            if asked is None or (key == "revision" and said is None):
                continue
            if not isinstance(said, str) or said != asked:
                found.append(f"{word}: run.json says {_shown(said)}, the trigger {_shown(asked)}")
        return tuple(found)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else "nothing" if value is None else ascii(value)
    return text[:MAX_SHOWN]
