"""The installed ci-publish-logs with a folder to publish to, and a run."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.publishing.made_runs import FOLDER, made_config, made_run

COMMAND = Path(sys.executable).with_name("ci-publish-logs")
HOME = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Site:
    """A folder to publish to, a configuration that says so, a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.published = folder / "published"
        self.published.mkdir()
        self.config = made_config(folder, str(self.published))
        self.root = made_run(folder / "run")
        self.run = self.published / FOLDER

    def argv(self, *arguments: str | Path) -> list[str]:
        return [str(COMMAND), "--config", str(self.config), *map(str, arguments)]

    def publish(
        self, *arguments: str | Path, environment: dict[str, str] | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        words = self.argv(*(arguments or ("--workspace", self.root)))
        env = {**HOME, **(environment or {})}
        return subprocess.run(words, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120, **more)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv("--workspace", self.root), env=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "published.json").read_text())
        return found

    def hidden(self) -> list[str]:
        """What is left of attempts."""
        folder = self.published / ".publishing"
        return sorted(path.name for path in folder.iterdir() if path.name != "lock") if folder.exists() else []

    def pages(self) -> list[Path]:
        return [path for path in self.published.rglob("index.html") if ".publishing" not in path.parts]


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8", "surrogateescape")
