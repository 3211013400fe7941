"""ci-prepare-gate: which change; is it worth a run; checkouts merged; gate prepared; the run's files written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.errors import NothingToTest
from ci_scripts.stages.change_options import change_options, control_run_option, find_change, find_control_run
from ci_scripts.stages.opening import open_new_run

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.git import Patience
    from ci_scripts.git_cache import GitCache
    from ci_scripts.settings_model import Settings
    from ci_scripts.stage_log import StageRecord
    from ci_scripts.workspace import Workspace

EXAMPLE = (
    "Example: ci-prepare-gate --config ci.yaml --change 1,1 --project example/networking-example"
    " --url https://review.example.org/example/networking-example"
)


@click.command(epilog=EXAMPLE)
@change_options
@control_run_option
@click.option("--job", help="The name under which runs are compared. Default: $JOB_NAME, $ZUUL_JOB, or ci.yaml's.")
@click.option("--dry-run", is_flag=True, help="Only say what would be checked out; write nothing.")
def command(
    config: Path | None,
    workspace: Path | None,
    zuul_file: Path | None,
    dry_run: bool,
    control_run: bool,
    job: str | None,
    **flags: str | None,
) -> None:
    """Prepare a run for one change: its checkouts, the Python environments and run.json.

    The change comes from the options, from Zuul's or the Gerrit Trigger's variables, or from --zuul-file.
    Exit code 4: nothing to test (irrelevant files only, or a merge conflict); verdict.json says which.
    """
    from ci_scripts.settings import load_settings, read_environment

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    by_trigger = not control_run
    change = find_change(settings, environment, flags, zuul_file) if by_trigger else find_control_run(settings, flags)
    environment = _with_job(environment, job)
    if dry_run:
        _say_plan(settings, change)
        return
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.stage_log import stage
    from ci_scripts.stages.control_runs import run_control_runs

    with open_new_run(workspace, settings.gate.kind, environment) as (run_workspace, run_environment):
        try:
            with stage(run_workspace, "prepare-gate") as record:
                prepare_gate(settings, change, run_workspace, run_environment, record)
        except InfrastructureError:
            # Where the change was built into the environments, it may be the change that could not be built.
            if record.notes.get("with_change"):
                run_control_runs(run_workspace, run_environment)
            raise


def _with_job(environment: Mapping[str, str], job: str | None) -> dict[str, str]:
    """Raises ConfigurationError for a name that is not one plain word."""
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.untrusted_words import quoted, word_problem

    if job is None:
        return dict(environment)
    if problem := word_problem(job):
        raise ConfigurationError(f"--job {quoted(job)} {problem}.", next_step="name it as the job is called.")
    return {**environment, "JOB_NAME": job}


def _say_plan(settings: Settings, change: ChangeUnderTest) -> None:
    from ci_scripts.checkouts import wanted_checkouts

    what = "control run" if change.is_control else f"change {change.name}"
    click.echo(f"{what} of {change.project} for {change.branch}, from {change.trigger}")
    for wanted in wanted_checkouts(settings, change).values():
        merged = "".join(f", change {item.name} ({item.ref})" for item in wanted.changes)
        patched = "".join(f", patch {patch.name}" for patch in wanted.patches)
        click.echo(f"{wanted.project}: {wanted.url} {' or '.join(wanted.refs)}{merged}{patched}")


def prepare_gate(
    settings: Settings,
    change: ChangeUnderTest,
    workspace: Workspace,
    environment: Mapping[str, str],
    record: StageRecord,
    *,
    patience: Patience | None = None,
) -> dict[str, Any]:
    """Make everything that a gate needs for ``change`` in the workspace, whose lock is held; returns run.json.

    ``environment`` is this process's with CI_RUN_ID, the name of the run.

    Raises NothingToTest (verdict.json is written then), ConfigurationError, or InfrastructureError.
    """
    from ci_scripts.run_checkouts import Site, check_out_all
    from ci_scripts.workspace import write_json_atomically

    cache = _git_cache(settings, workspace, environment, record, patience)
    run = _new_run_record(settings, change, environment, cache)
    write_json_atomically(workspace.run_json, run)
    try:
        change = check_out_all(Site(settings, workspace, cache, record), change, run)
    except NothingToTest as error:
        _write_early_verdict(workspace, run, record, error)
        raise
    from ci_scripts.control_script import write_control_script
    from ci_scripts.run_scripts import write_environment_script, write_reproduce_script

    write_json_atomically(workspace.run_json, run)
    write_environment_script(workspace, run, change)
    if change.is_control:
        write_control_script(workspace, run, change)
    else:
        write_reproduce_script(workspace, run, change)
    # A driver under test is not in the environments yet; a project under test is built into them.
    record.notes["with_change"] = change.project != settings.driver.project and not change.is_control
    run["environments"] = _prepare_kind_of_gate(settings, workspace, environment, run, record)
    write_json_atomically(workspace.run_json, run)
    return run


def _git_cache(
    settings: Settings,
    workspace: Workspace,
    environment: Mapping[str, str],
    record: StageRecord,
    patience: Patience | None,
) -> GitCache:
    from ci_scripts.git import Git, Patience
    from ci_scripts.git_cache import GitCache
    from ci_scripts.settings import transfer_environment

    git = Git(transfer_environment(environment), workspace.logs / "git.log", patience or Patience(), record.say)
    return GitCache(settings.cache_dir / "git", git)


def _new_run_record(
    settings: Settings, change: ChangeUnderTest, environment: Mapping[str, str], cache: GitCache
) -> dict[str, Any]:
    import importlib.metadata
    import os
    import platform

    from ci_scripts import __version__
    from ci_scripts.settings import settings_as_text
    from ci_scripts.workspace import RUN_ID_VARIABLE, SCHEMA, utc_text

    driver = settings.driver
    return {
        "schema": SCHEMA,
        "run_id": environment[RUN_ID_VARIABLE],
        "created": utc_text(),
        "config": str(settings.config_path),
        "trigger": change.trigger,
        "change": change.as_record(),
        "also": [item.as_record() for item in change.also],
        "gate": {"kind": settings.gate.kind},
        "driver": {"project": driver.project, "source": driver.source or driver.package, "ref": driver.ref},
        "checkouts": {},
        "tools": {
            "openstack-driver-ci": __version__,
            "python": platform.python_version(),
            "git": cache.git.version(),
            "uv": importlib.metadata.version("uv"),
        },
        "job": _job(settings, environment),
        "machine": {"kernel": platform.release(), "processors": len(os.sched_getaffinity(0))},
        "settings": settings_as_text(settings),
        "environments": {},
    }


def _job(settings: Settings, environment: Mapping[str, str]) -> str:
    """The name under which runs are compared: Jenkins' or Zuul's job, else the configuration's."""
    from ci_scripts.untrusted_words import word_problem

    names = (environment.get("JOB_NAME"), environment.get("ZUUL_JOB"))
    return next((name for name in names if name and word_problem(name) is None), settings.config_path.stem)


def _early_outcome(error: NothingToTest) -> tuple[str, str]:
    """Zuul's word and the rule's name."""
    from ci_scripts.branches import BranchEnded
    from ci_scripts.depends_on import DependenciesRefused
    from ci_scripts.git import MergeConflict
    from ci_scripts.run_checkouts import IrrelevantFiles

    if isinstance(error, MergeConflict):
        return "MERGER_FAILURE", "merge-conflict"
    if isinstance(error, IrrelevantFiles):
        return "SKIPPED", "irrelevant-files"
    rules = {DependenciesRefused: "dependencies-refused", BranchEnded: "branch-ended"}
    return "SKIPPED", rules.get(type(error), "project-not-configured")


def _write_early_verdict(
    workspace: Workspace, run: Mapping[str, Any], record: StageRecord, error: NothingToTest
) -> None:
    from ci_scripts.verdict.proof import Proof
    from ci_scripts.verdict.verdict import Verdict
    from ci_scripts.workspace import utc_text, write_json_atomically

    outcome, rule = _early_outcome(error)
    verdict = Verdict(
        outcome=outcome,
        blame="nobody",
        rule=rule,
        sentence="ci-prepare-gate found nothing to test.",
        reasons=(error.what,),
        evidence=(),
        proof=Proof(),
        counts={},
        exit_code=error.exit_code,
        run_id=run["run_id"],
        made=utc_text(),
    )
    record.outcome = outcome
    write_json_atomically(workspace.run_json, run)
    write_json_atomically(workspace.verdict_json, verdict.as_json())


def _prepare_kind_of_gate(
    settings: Settings,
    workspace: Workspace,
    environment: Mapping[str, str],
    run: Mapping[str, Any],
    record: StageRecord,
) -> dict[str, str]:
    from ci_scripts.gates import gate_of
    from ci_scripts.gates.context import GateContext
    from ci_scripts.settings import command_environment, secret_values

    secrets = secret_values(settings, environment)
    context = GateContext(settings, workspace, run, command_environment(environment), {}, secrets, record)
    return dict(gate_of(settings.gate.kind).prepare(context))
