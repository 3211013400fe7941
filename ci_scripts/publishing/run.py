"""The run that is to be published: its change, job, verdict and place, as the trusted side knows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_scripts.change import ChangeUnderTest
from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.intake.record import Intake, read_intake
from ci_scripts.intake.same_change import refuse_another_change
from ci_scripts.publishing.layout import RunFolder, short_run_id
from ci_scripts.publishing.record import Published, identity_of
from ci_scripts.untrusted_words import word_problem
from ci_scripts.verdict.untrusted_file import read_object
from ci_scripts.workspace import Workspace, utc_text


@dataclass(frozen=True)
class Run:
    """``verdict`` is empty where none was made; ``folder`` is the one it would like to have."""

    workspace: Workspace
    change: ChangeUnderTest
    run_id: str
    identity: str
    verdict: Mapping[str, Any]
    folder: RunFolder

    def record(self, url: str, left_out: tuple[str, ...] = ()) -> Published:
        """What published.json says about it, at the place it would like; ``url`` is the root's address."""
        change = self.change
        return Published(
            url=address(url, self.folder),
            folder=self.folder.path,
            time=utc_text(),
            run_id=self.run_id,
            identity=self.identity,
            outcome=str(self.verdict.get("outcome") or ""),
            change=change.number,
            patch_set=change.patchset,
            project=change.project,
            pipeline=change.pipeline,
            job=self.folder.job,
            left_out=left_out,
        )


def address(url: str, folder: RunFolder) -> str:
    """The address of a run's folder below the root's, with a slash at its end."""
    return f"{url.rstrip('/')}/{folder.path}/"


@dataclass(frozen=True)
class Given:
    """What the command line says: flags by name (None where not given), and ``triggered`` to ask flags and trigger.

    ``triggered`` raises ConfigurationError where these name no change.
    """

    flags: Mapping[str, str | None]
    names_change: bool
    triggered: Callable[[], ChangeUnderTest]
    job: str | None = None


def run_to_publish(workspace: Workspace, environment: Mapping[str, str], given: Given) -> Run:
    """The run in ``workspace``: its change is the one of the flags, else of intake.json, else of the trigger.

    Raises ConfigurationError where nobody says which change or job it is, or a node's own verdict would be published;
    InfrastructureError for an intake that was interrupted, or files that cannot be read.
    """
    intake = read_intake(workspace)
    if intake is not None and not intake.ended:
        raise InfrastructureError(
            f"{workspace.root} was not filled to its end.", next_step="run ci-summarize-results --from again."
        )
    verdict = _verdict(workspace)
    change = _change(workspace, given, intake, judged=bool(verdict))
    run_id = intake.run_id if intake is not None and intake.run_id else str(verdict.get("run_id") or "")
    run_id = run_id if word_problem(run_id) is None else ""
    identity = identity_of(workspace.root, run_id, verdict)
    name = given.job or (intake.job if intake is not None else None) or _job_of_jenkins(environment)
    folder = RunFolder(change.number, change.patchset, change.pipeline, name, short_run_id(run_id, identity))
    return Run(workspace, change, run_id, identity, verdict, folder)


def _change(workspace: Workspace, given: Given, intake: Intake | None, *, judged: bool) -> ChangeUnderTest:
    if given.names_change:
        named = given.triggered()
        refuse_another_change(workspace, named)
        return named
    alone = [f"--{name}" for name, value in given.flags.items() if value and name != "pipeline"]
    if alone:
        raise ConfigurationError(
            f"{' and '.join(alone)} goes with --change only.", next_step="name the change as well."
        )
    if intake is None and judged:
        raise ConfigurationError(
            f"{workspace.root} has a verdict and no intake.json: a node may have written it.",
            next_step="run ci-summarize-results --from on the trusted side; a run of your own needs --change N,P.",
        )
    if intake is None or intake.change is None:
        return given.triggered()
    pipeline = given.flags.get("pipeline")
    return replace(intake.change, pipeline=pipeline) if pipeline else intake.change


def _verdict(workspace: Workspace) -> dict[str, Any]:
    try:
        return read_object(workspace.verdict_json, inside=workspace.root)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            f"{workspace.verdict_json} cannot be read: {getattr(error, 'strerror', None) or error}.",
            next_step="run ci-summarize-results again.",
        ) from error


def _job_of_jenkins(environment: Mapping[str, str]) -> str:
    """Jenkins' JOB_NAME (``folder/name``) as one word. Raises ConfigurationError where there is none."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", environment.get("JOB_NAME", "")).strip("-.")[:100]
    if not name:
        raise ConfigurationError(
            "nobody says which job this run was of.", next_step="name it with --job, or set JOB_NAME as Jenkins does."
        )
    return name
