"""ci-summarize-results: stream, logs and stage files of a run -> tests, verdict and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ci_scripts.stages.change_options import change_name_options, control_run_option, find_control_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.settings_model import Settings
    from ci_scripts.verdict.verdict import Verdict
    from ci_scripts.views.run_report import RunReport
    from ci_scripts.workspace import Workspace

MAX_PACKAGES = 1024 * 1024


@click.command(name="ci-summarize-results")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run (default: $WORKSPACE, else .ci-runs/latest; with --from a new one).",
)
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml if there.")
@click.option(
    "--from", "source", metavar="PATH", help="On the trusted side: the folder or archive of the node's files, taken in."
)
@click.option("--job", help="With --from: the job's name. Default: $JOB_NAME, $ZUUL_JOB, or the configuration's.")
@change_name_options
@control_run_option
@click.option("--record", is_flag=True, help="Add the run to the history: on the trusted side only.")
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json instead of the text summary.")
def command(
    workspace: Path | None,
    config: Path | None,
    source: str | None,
    job: str | None,
    zuul_file: Path | None,
    record: bool,
    as_json: bool,
    control_run: bool,
    **flags: str | None,
) -> int:
    """Decide the outcome of a run and who is to blame, and write the reports.

    With --from the node's files are taken into the workspace first, within limits; the change is the one that the
    options or the trigger here name, whatever the node says; with --control-run it is none.

    Exit code: 0 passed, 1 the change is to blame, 2 a bad option or workspace, 3 the CI failed or nobody knows,
    4 nothing to test, 130 or 143 the run was interrupted or aborted. A history that fails changes none of them.
    """
    from ci_scripts.settings import read_environment
    from ci_scripts.stage_log import stage
    from ci_scripts.stages.intake_options import (
        change_asked_for,
        job_asked_for,
        open_trusted_workspace,
        refuse_without_source,
        source_named,
        take_in_node_files,
    )
    from ci_scripts.workspace import find_workspace

    environment = read_environment()
    if source is not None:
        settings = settings_if_any(config, environment, needed=record or control_run)
        if control_run and settings is not None:
            change: ChangeUnderTest | None = find_control_run(settings, flags)
        else:
            change = change_asked_for(settings, environment, flags, zuul_file)
        job = job_asked_for(job, environment, settings)
        found = source_named(source)
        with (
            open_trusted_workspace(workspace, found, change, job, environment) as (place, intake),
            stage(place, "summarize-results") as stage_record,
        ):
            take_in_node_files(place, intake, found, stage_record)
            return _decided(place, settings, environment, record, as_json)
    refuse_without_source({**flags, "control-run": "yes" if control_run else None}, zuul_file, job)
    place = find_workspace(workspace, environment)
    settings = settings_if_any(config, environment, needed=record)
    with stage(place, "summarize-results"):
        return _decided(place, settings, environment, record, as_json)


def _decided(
    place: Workspace, settings: Settings | None, environment: Mapping[str, str], record: bool, as_json: bool
) -> int:
    import sys

    verdict = summarize(place, settings, environment=environment, record=record, output=sys.stdout, as_json=as_json)
    return verdict.exit_code


def settings_if_any(config: Path | None, environment: Mapping[str, str], *, needed: bool = False) -> Settings | None:
    """ci.yaml where it is named or here. Never the one that run.json names: that comes from the node.

    Raises ConfigurationError for one that is wrong, or that is needed and is not there.
    """
    from ci_scripts.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, load_settings

    if config is None and not environment.get(CONFIG_VARIABLE) and not DEFAULT_CONFIG.exists() and not needed:
        return None
    return load_settings(config, environment=environment)


def summarize(
    workspace: Workspace,
    settings: Settings | None,
    *,
    environment: Mapping[str, str],
    record: bool = False,
    output: TextIO | None = None,
    as_json: bool = False,
) -> Verdict:
    """Read what the run left, decide, and write tests.json, verdict.json and the reports; with ``record`` the history.

    Whatever is missing or damaged in the workspace becomes part of the verdict. The summary (or the verdict as
    JSON) goes to ``output``.

    Raises InfrastructureError naming the file that could not be written; no half-written file is left.
    """
    import json

    from ci_scripts.views.text import print_summary

    report = gather(workspace, settings, environment, record=record)
    write_reports(workspace, report)
    if output is not None and as_json:
        output.write(json.dumps(report.verdict.as_json(), indent=1) + "\n")
    elif output is not None:
        print_summary(report, workspace.report_dir / "index.html", output)
    return report.verdict


def gather(
    workspace: Workspace, settings: Settings | None, environment: Mapping[str, str], *, record: bool = False
) -> RunReport:
    """Tests, facts, proof and the verdict over them; writes nothing but, with ``record``, the history."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from ci_scripts.gathering import gather_facts
    from ci_scripts.verdict.decide import decide
    from ci_scripts.verdict.run_facts import seconds_of_run
    from ci_scripts.verdict.untrusted_file import read_text
    from ci_scripts.views.run_report import RunReport
    from ci_scripts.workspace import utc_text

    now = datetime.now(UTC)
    found = gather_facts(workspace.root, settings, environment, now)
    facts, problem, run = found.facts, found.problem, found.case.run
    verdict = decide(
        facts,
        run_id=str(run.facts.run.get("run_id") or "")[:100],
        made=utc_text(now),
        seconds=seconds_of_run(facts.run),
    )
    if record and settings is not None:
        from ci_scripts.earlier_runs import write_down

        problem = problem or write_down(settings, environment, found.case, verdict, found.snapshots, now)
    if problem:
        click.echo(f"ci-summarize-results: {problem}", err=True)
    try:
        packages, _ = read_text(workspace.packages_txt, limit=MAX_PACKAGES, inside=workspace.root)
    except OSError:
        packages = ""
    lines = tuple(line[:300] for line in packages.splitlines() if line.strip())
    return RunReport(replace(verdict, history=problem), run.tests, run.facts, lines, run.rounds, facts.case.trials)


def write_reports(workspace: Workspace, report: RunReport) -> None:
    """Write every file of the report, the verdict last: where it is, the others are.

    Raises InfrastructureError naming the file that could not be written.
    """
    import json

    from ci_scripts.verdict.tests_file import as_json
    from ci_scripts.views.html import render_report
    from ci_scripts.views.junit import render_junit
    from ci_scripts.views.testr_results import render_testr_results

    files: tuple[tuple[Path, Callable[[], str]], ...] = (
        (workspace.tests_json, lambda: json.dumps(as_json(report.tests), indent=1) + "\n"),
        (workspace.report_dir / "index.html", lambda: render_report(report)),
        (workspace.report_dir / "junit.xml", lambda: render_junit(report)),
        (workspace.testr_results, lambda: render_testr_results(report)),
        (workspace.verdict_json, lambda: json.dumps(report.verdict.as_json(), indent=1) + "\n"),
    )
    for path, render in files:
        _write(path, render())


def _write(path: Path, text: str) -> None:
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.workspace import write_text_atomically

    try:
        if path.parent.is_symlink():
            # The workspace may come from a node that ran untrusted code and left a link to somewhere else.
            raise OSError(f"{path.parent} is a link")
        write_text_atomically(path, text)
    except OSError as error:
        raise InfrastructureError(
            f"{path} could not be written: {error.strerror or error}.",
            next_step="free some space or mend the folder, then run ci-summarize-results again.",
        ) from error
