"""The two shell scripts of a run: environment.sh for whoever works in its workspace, reproduce.sh to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ci_scripts import __version__
from ci_scripts.workspace import Workspace, write_text_atomically

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest


def write_environment_script(workspace: Workspace, run: Mapping[str, Any], change: ChangeUnderTest) -> None:
    """environment.sh: where the run is and what it is about, in variables as Zuul 2 and devstack-gate name them.

    No secrets, and not CI_RUN_ID: whoever had that would go past the workspace's lock.
    """
    variables = {
        "WORKSPACE": str(workspace.root),
        "CI_WORKSPACE": str(workspace.root),
        "CI_CONFIG": str(run["config"]),
        **zuul_variables(change),
    }
    lines = [f"# The environment of run {run['run_id']}. Written by ci-prepare-gate; source it, do not run it."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    write_text_atomically(workspace.environment_sh, "\n".join(lines) + "\n")


def zuul_variables(change: ChangeUnderTest) -> dict[str, str]:
    """The change as Zuul 2 describes it ("Launchers" in its documentation), whatever trigger named it."""
    items = (*change.also, change)
    base = change.url or ""
    if base.endswith("/" + change.project):
        base = base.removesuffix("/" + change.project)
    variables = {
        "ZUUL_PROJECT": change.project,
        "ZUUL_BRANCH": change.branch,
        "ZUUL_CHANGE": change.number,
        "ZUUL_PATCHSET": change.patchset,
        "ZUUL_REF": change.ref,
        "ZUUL_COMMIT": change.revision or "",
        "ZUUL_URL": base,
        "ZUUL_CHANGES": "^".join(f"{item.project}:{item.branch}:{_gerrit_ref(item)}" for item in items),
        "ZUUL_CHANGE_IDS": " ".join(item.name for item in items),
        "ZUUL_PIPELINE": change.pipeline,
        "ZUUL_UUID": change.uuid or "",
    }
    return {name: value for name, value in variables.items() if value}


def write_reproduce_script(workspace: Workspace, run: Mapping[str, Any], change: ChangeUnderTest) -> None:
    """reproduce.sh: the same change with the same configuration, packages and branches as they are then."""
    lines = [
        "#!/usr/bin/env bash",
        f"# Run {run['run_id']} again on a fresh node: {change.project} change {change.name}.",
        "# Usage: reproduce.sh [CI.YAML [OPTIONS OF ci-run-job]]",
        *(f"#   then: {name} {entry['branch']} {entry['commit']}" for name, entry in run["checkouts"].items()),
        "set -euo pipefail",
        "",
        # Quotes inside the braces are quotes: the expansion itself stands unquoted.
        f"config=${{1:-{shlex.quote(str(run['config']))}}}",
        "if ! command -v ci-run-job >/dev/null; then",
        f"    echo 'reproduce.sh: install openstack-driver-ci {__version__} first (pip install).' >&2",
        "    exit 2",
        "fi",
        # The run that is reproduced keeps its workspace, also where environment.sh or Jenkins named it.
        "unset WORKSPACE CI_WORKSPACE CI_RUN_ID",
        *_what_is_tested(change),
    ]
    write_text_atomically(workspace.reproduce_sh, "\n".join(lines) + "\n", mode=0o755)


def _what_is_tested(change: ChangeUnderTest) -> list[str]:
    if change.also:
        # Flags name one change; several need a trigger's words.
        exports = [f"export {name}={shlex.quote(value)}" for name, value in zuul_variables(change).items()]
        return [*exports, 'exec ci-run-job --config "$config" "${@:2}"']
    words = ["--change", change.name, "--project", change.project, "--branch", change.branch, "--ref", change.ref]
    words += ["--url", change.url] if change.url else []
    words += ["--pipeline", change.pipeline]
    return [f'exec ci-run-job --config "$config" {shlex.join(words)} "${{@:2}}"']


def _gerrit_ref(item: ChangeUnderTest) -> str:
    from ci_scripts.untrusted_words import ref_of_change

    # Zuul 2 names its items by Gerrit's refs, also where what is fetched is its own merge.
    return ref_of_change(item.number, item.patchset) if item.ref.startswith("refs/zuul/") else item.ref
