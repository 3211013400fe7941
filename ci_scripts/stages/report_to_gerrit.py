"""ci-report-to-gerrit: verdicts of the trusted side -> one comment on the change, and a vote where one is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.change_options import change_name_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.reporting.finished import Finished
    from ci_scripts.reporting.post import Order, Report
    from ci_scripts.settings_model import Settings
    from ci_scripts.workspace import Workspace


@click.command(name="ci-report-to-gerrit", epilog="Example: ci-report-to-gerrit --workspace trusted --dry-run")
@click.option(
    "--workspace",
    "folders",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    help="Folder with a verdict (default: $WORKSPACE, else .ci-runs/latest). More of them go into one comment.",
)
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml.")
@click.option("--job", "jobs", multiple=True, help="The job's name; once for each --workspace, in their order.")
@change_name_options
@click.option("--again", is_flag=True, help="Post though there is a comment on another run and nobody asked for one.")
@click.option("--wait", "minutes", type=click.FloatRange(0, 24 * 60), default=0.0, help="Minutes for upstream's +1.")
@click.option("--dry-run", is_flag=True, help="Print the comment and the vote; ask and tell Gerrit nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what reported.json holds.")
def command(
    folders: tuple[Path, ...], config: Path | None, jobs: tuple[str, ...], dry_run: bool, as_json: bool, **more: object
) -> None:
    """Post the outcome of runs as one comment on their change.

    The change and the job are those that ci-summarize-results --from was told, or the options name them. A second
    call for the same run posts nothing. What decides is on docs/reporting.md.

    Exit code: 0 posted, or nothing was due. 2 bad option or configuration. 4 the change is closed or has a newer
    patch set, a merge conflict, nothing to test: nothing posted. 5 not reported, safe to run again.
    """
    from ci_scripts.settings import load_settings, read_environment
    from ci_scripts.workspace import find_workspace

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    workspaces = [find_workspace(folder, environment) for folder in folders or (None,)]
    again, minutes, zuul_file = more.pop("again"), more.pop("minutes"), more.pop("zuul_file")
    flags = {name: value if isinstance(value, str) else None for name, value in more.items()}
    change = _change_named(settings, environment, flags, zuul_file if isinstance(zuul_file, Path) else None)
    runs = read_runs(workspaces, settings, environment, change, jobs, by_person=any(flags.values()))
    if dry_run:
        _print_plan(settings, runs, again=bool(again))
        return
    with _stage_of_all(workspaces) as say:
        waiting = float(minutes) if isinstance(minutes, (int, float)) else 0.0
        _report(settings, environment, runs, say, again=bool(again), minutes=waiting, as_json=as_json)


def _change_named(
    settings: Settings, environment: Mapping[str, str], flags: Mapping[str, str | None], zuul_file: Path | None
) -> ChangeUnderTest | None:
    from ci_scripts.stages.intake_options import change_asked_for

    return change_asked_for(settings, environment, flags, zuul_file)


def read_runs(
    workspaces: Sequence[Workspace],
    settings: Settings,
    environment: Mapping[str, str],
    named: ChangeUnderTest | None,
    jobs: Sequence[str],
    *,
    by_person: bool,
) -> list[Finished]:
    """The runs to report. ``named`` is the change of flags (``by_person``) or the trigger, None where they name none.

    Raises ConfigurationError; also for a verdict of a node, where no person says which change it is about.
    """
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.stages.intake_options import job_asked_for

    if jobs and len(jobs) != len(workspaces):
        raise ConfigurationError(
            f"--job is given {len(jobs)} times for {len(workspaces)} workspaces.", next_step="name each one's job."
        )
    runs = []
    for number, workspace in enumerate(workspaces):
        given = job_asked_for(jobs[number], environment, settings) if jobs else None
        runs.append(_read_run(workspace, settings, environment, named, given, by_person=by_person))
    return runs


def _read_run(
    workspace: Workspace,
    settings: Settings,
    environment: Mapping[str, str],
    named: ChangeUnderTest | None,
    job: str | None,
    *,
    by_person: bool,
) -> Finished:
    from ci_scripts.errors import ConfigurationError, InfrastructureError, NothingToTest
    from ci_scripts.intake.record import read_intake
    from ci_scripts.intake.same_change import refuse_another_change
    from ci_scripts.reporting.finished import read_finished
    from ci_scripts.stages.intake_options import job_asked_for

    try:
        intake = read_intake(workspace)
    except InfrastructureError as error:
        raise ConfigurationError(error.what, next_step=error.next_step) from error
    if intake is None and not by_person:
        raise ConfigurationError(
            f"{workspace.root} is not of the trusted side: without intake.json its verdict may be the node's own.",
            next_step="run ci-summarize-results --from on the trusted side and report that; or, for a run of your own,"
            " name the change with --change, --project and --url.",
        )
    taken_in = intake.change if intake is not None else None
    change = taken_in or named
    if change is not None and change.is_control:
        raise NothingToTest(
            f"{workspace.root} is a control run: it is about no change, and nothing is reported.",
            next_step="ci-summarize-results --record keeps it in the history, which is what it is for.",
        )
    if change is None:
        raise ConfigurationError(
            f"nobody says which change {workspace.root} is about: neither intake.json nor options nor a trigger.",
            next_step="name it with --change, --project and --url.",
        )
    if by_person and named is not None and (named.name, named.project) != (change.name, change.project):
        raise ConfigurationError(
            f"{workspace.root} is about change {change.name} of {change.project}, the options name {named.name} of"
            f" {named.project}.",
            next_step="leave the options out, or name the other workspace.",
        )
    if intake is None:
        refuse_another_change(workspace, change)
    job = job or (intake.job if intake is not None else None) or job_asked_for(None, environment, settings) or "ci"
    run_id = intake.run_id if intake is not None else ""
    return read_finished(workspace, change, job, run_id, _page_of(settings, environment))


def _page_of(settings: Settings, environment: Mapping[str, str]) -> str:
    """What a job's name links to where its logs are not published: Jenkins' page of the build, else the wiki's."""
    from ci_scripts.untrusted_words import web_url_problem

    build = environment.get("BUILD_URL", "")
    return build if build.startswith("https://") and web_url_problem(build) is None else settings.wiki


def _print_plan(settings: Settings, runs: Sequence[Finished], *, again: bool) -> None:
    from ci_scripts.reporting.report import is_silent, order_of

    order = order_of(settings, runs, again=again)
    click.echo(order.text)
    click.echo(f"\nVote: {order.label} {order.vote:+d}" if order.vote else "\nNo vote.", err=True)
    click.echo(f"On {order.place}, tag {order.tag}. Nothing was sent.", err=True)
    if is_silent(settings, runs):
        click.echo("It would not be posted: gerrit.report_ci_failures is silent.", err=True)


def _report(
    settings: Settings,
    environment: Mapping[str, str],
    runs: Sequence[Finished],
    say: Callable[[str], None],
    *,
    again: bool,
    minutes: float,
    as_json: bool,
) -> None:
    from ci_scripts.gerrit import open_gerrit
    from ci_scripts.reporting.report import Patience, is_silent, order_of, report

    order = order_of(settings, runs, again=again)
    gerrit = open_gerrit(settings, environment)
    if is_silent(settings, runs):
        say("nothing is posted: the CI failed, and gerrit.report_ci_failures is silent")
        return
    done = report(settings, environment, gerrit, order, say, Patience(minutes))
    _write(runs, order, done, as_json=as_json)
    if done.posted:
        assert done.message is not None
        say(f"posted on {order.place}: message {done.message.number}, vote {done.vote:+d}")
    else:
        say(f"nothing is posted on {order.place}: {done.why}")


def _write(runs: Sequence[Finished], order: Order, done: Report, *, as_json: bool) -> None:
    """reported.json of each workspace. Raises ReportFailed; the comment is on the change then."""
    import json

    from ci_scripts.errors import ReportFailed
    from ci_scripts.reporting.report import record_of
    from ci_scripts.workspace import write_json_atomically

    record = record_of(order, done, [run.entry.job for run in runs])
    if as_json:
        click.echo(json.dumps(record, indent=1))
    for run in runs:
        path = run.workspace.reported_json
        try:
            write_json_atomically(path, record)
        except OSError as error:
            raise ReportFailed(
                f"{path} could not be written: {error.strerror or error}. Gerrit was told all the same.",
                next_step="free some space and run ci-report-to-gerrit again: it posts nothing twice.",
            ) from error


@contextmanager
def _stage_of_all(workspaces: Sequence[Workspace]) -> Iterator[Callable[[str], None]]:
    """Recorded in each workspace; what is said goes to the first one's console."""
    from contextlib import ExitStack

    from ci_scripts.errors import InfrastructureError, ReportFailed
    from ci_scripts.stage_log import stage

    with ExitStack() as stack:
        try:
            records = [stack.enter_context(stage(workspace, "report-to-gerrit")) for workspace in workspaces]
        except (OSError, InfrastructureError) as error:
            why = error.strerror or error if isinstance(error, OSError) else error.what
            raise ReportFailed(
                f"the workspace cannot be written: {why}. Nothing was posted.",
                next_step="free some space or mend the folder, then run ci-report-to-gerrit again.",
            ) from error
        yield records[0].say
