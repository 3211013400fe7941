"""reproduce.sh of a control run: the same stages for the same branch once more."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ci_scripts import __version__
from ci_scripts.change import ChangeUnderTest
from ci_scripts.workspace import Workspace, write_text_atomically


def write_control_script(workspace: Workspace, run: Mapping[str, Any], tip: ChangeUnderTest) -> None:
    """Its stages follow each other as in the job; the last one decides its exit code."""
    words = ["--control-run", "--project", tip.project, "--branch", tip.branch]
    words += ["--url", tip.url] if tip.url else []
    lines = [
        "#!/usr/bin/env bash",
        f"# Control run {run['run_id']} again on a fresh node: {tip.project}, branch {tip.branch}, no change.",
        "# Usage: reproduce.sh [CI.YAML [OPTIONS OF ci-prepare-gate]]",
        *(f"#   then: {name} {entry['branch']} {entry['commit']}" for name, entry in run["checkouts"].items()),
        "set -uo pipefail",
        "",
        f"config=${{1:-{shlex.quote(str(run['config']))}}}",
        "if ! command -v ci-prepare-gate >/dev/null; then",
        f"    echo 'reproduce.sh: install openstack-driver-ci {__version__} first (pip install).' >&2",
        "    exit 2",
        "fi",
        "unset WORKSPACE CI_WORKSPACE CI_RUN_ID",
        f'ci-prepare-gate --config "$config" {shlex.join(words)} "${{@:2}}" && ci-run-gate',
        "exec ci-summarize-results",
    ]
    write_text_atomically(workspace.reproduce_sh, "\n".join(lines) + "\n", mode=0o755)
