"""A repository's own files, written without git: see gitrepository-layout(5) and git-config(1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
[remote "origin"]
\turl = {url}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


def lay_out_repository(folder: Path, branch: str, refs: Mapping[str, str], url: str, lender: Path) -> None:
    """Make ``folder`` a repository on ``branch``, with these refs, that reads the objects of ``lender``.

    Its files are not written. No templates, so no hooks. Raises OSError.
    """
    inside = folder / ".git"
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (inside / name).mkdir(parents=True)
    borrow_objects(inside, lender)
    # No header: it would have to say what tags point at (GitPython reads no other); git looks that up.
    lines = (f"{commit} {name}\n" for name, commit in sorted(refs.items()))
    (inside / "packed-refs").write_text("".join(lines))
    (inside / "config").write_text(CONFIG.format(url=_quoted(url)))
    # Last: what has no HEAD is no repository.
    (inside / "HEAD").write_text(f"ref: refs/heads/{branch}\n")


def borrow_objects(repository: Path, lender: Path) -> None:
    """Let a repository (its ``.git``, or a bare one) read the objects of another."""
    alternates = repository / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{lender.resolve() / 'objects'}\n")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
