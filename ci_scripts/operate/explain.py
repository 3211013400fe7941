"""ci-operate explain: the decision of a finished run, rule by rule, and what would have changed it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ci_scripts.verdict.evidence import Evidence
    from ci_scripts.verdict.explanation import Explanation, RuleAnswer, Sighting, SymptomAnswer, TestAnswer
    from ci_scripts.verdict.verdict import Facts
    from ci_scripts.workspace import Workspace

MAX_LINE = 400
MAX_EVIDENCE = 10
MAX_EVIDENCE_LINE = 240
MAX_SYMPTOMS = 20
SECTION: dict[str, Any] = {"bold": True}
BLAMES: dict[str, dict[str, Any]] = {"change": {"fg": "red"}, "nobody": {"fg": "green"}}
DOUBT: dict[str, Any] = {"fg": "yellow"}
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "does not hold": ("no       ", {}),
    "decides": ("YES      ", {"bold": True}),
    "not asked": ("not asked", {"dim": True}),
}


@click.command(epilog="Example: ci-operate explain --workspace .ci-runs/latest")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run (default: $WORKSPACE, else .ci-runs/latest).",
)
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml if there.")
@click.option("--test", "test_id", metavar="ID", help="Only what is known of this test; without its [attributes], too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(workspace: Path | None, config: Path | None, test_id: str | None, as_json: bool) -> None:
    """Tell why a finished run has its verdict: each rule in order, whose each failure is, what would have changed it.

    The decision is made anew from the files of the run, and the history as ci.yaml names it; nothing is written.

    Exit code 0: told, whatever the verdict is. 2: there is no such run or test, or ci.yaml is wrong.
    """
    from datetime import UTC, datetime

    from ci_scripts.errors import ConfigurationError
    from ci_scripts.gathering import gather_facts
    from ci_scripts.settings import read_environment
    from ci_scripts.stages.summarize_results import settings_if_any
    from ci_scripts.verdict.explanation import asked_at, differences, explain, explain_test
    from ci_scripts.workspace import find_workspace

    environment = read_environment()
    place = find_workspace(workspace, environment)
    if not place.run_json.exists() and not place.stages_dir.is_dir():
        raise ConfigurationError(
            f"{place.root} holds neither a run.json nor stages: no run was here.",
            next_step="name the run's folder with --workspace.",
        )
    written, problem = _read_verdict(place)
    settings = settings_if_any(config, environment)
    found = gather_facts(place.root, settings, environment, asked_at(written, datetime.now(UTC)))
    told = explain(found.facts, workspace=str(place.root))
    notes = tuple(filter(None, (problem, found.problem)))
    answers = explain_test(found.facts, test_id, workspace=str(place.root)) if test_id is not None else ()
    if test_id is not None and not answers:
        raise ConfigurationError(
            f"no test of this run is called {ascii(test_id)}.", next_step=f"see the ids in {place.tests_json}."
        )
    differs = differences(told.verdict, written) if written else ()
    if as_json:
        _print_json(told, differs, notes, answers)
        return
    _print_head(told, (*differs, *notes))
    if test_id is None:
        _print_all(told, found.facts)
    for answer in answers:
        _print_test(answer, told)


def _read_verdict(place: Workspace) -> tuple[dict[str, Any], str]:
    """verdict.json, empty with the reason where it cannot be had."""
    from ci_scripts.verdict.untrusted_file import read_object

    try:
        return read_object(place.verdict_json, inside=place.root), ""
    except (FileNotFoundError, NotADirectoryError):
        return {}, "there is no verdict.json: ci-summarize-results has not been here"
    except (OSError, ValueError) as error:
        return {}, f"verdict.json cannot be read: {error}"


def _print_json(
    told: Explanation, differs: tuple[str, ...], notes: tuple[str, ...], answers: tuple[TestAnswer, ...]
) -> None:
    from dataclasses import asdict

    data = {**told.as_json(), "differs_from_verdict_json": list(differs), "notes": list(notes)}
    if answers:
        del data["symptoms"], data["symptoms_left_out"]
        data["tests"] = [asdict(answer) for answer in answers]
    click.echo(json.dumps(data, indent=1))


def _print_all(told: Explanation, facts: Facts) -> None:
    _lines((f"moved: {text}" for text in told.verdict.moved[:MAX_SYMPTOMS]), 0)
    _heading("The rules, in the order in which they are asked")
    width = max(len(rule.name) for rule in told.rules)
    for rule in told.rules:
        _print_rule(rule, width)
    if told.symptoms:
        _heading("What went wrong, and whose it is by reruns and trials")
        if not told.symptoms_asked:
            _line(f"Not asked: the rule {told.verdict.rule} decided before.", 1, {"dim": True})
    for symptom in told.symptoms[:MAX_SYMPTOMS]:
        _line(f"{symptom.kind} {symptom.name}", 1, SECTION)
        _print_symptom(symptom, 2)
        _line(f"seen: {_sightings(symptom.seen)}", 2)
    more = len(told.symptoms) + told.left_out - MAX_SYMPTOMS
    if more > 0:
        _line(f"and {more} more: see --json, or --test ID for one test", 1)
    _heading("What would have changed the verdict")
    _line(told.verdict.otherwise, 1)
    asked = told.symptoms[:MAX_SYMPTOMS] if told.symptoms_asked else ()
    for text in dict.fromkeys(text for symptom in asked for text in symptom.would_change):
        names = [symptom.name for symptom in asked if text in symptom.would_change]
        _line(f"for {_few(names)}: {text}", 1)
    if facts.run.problems:
        _heading("Could not be read")
        _lines(facts.run.problems[:MAX_SYMPTOMS], 1)


def _print_head(told: Explanation, notes: tuple[str, ...]) -> None:
    verdict = told.verdict
    style = {**BLAMES.get(verdict.blame, DOUBT), "bold": True}
    run = f"Run {verdict.run_id}" if verdict.run_id else "A run without a name"
    _line(f"{run}: {verdict.outcome}, blame: {verdict.blame}, exit code {verdict.exit_code}", 0, style)
    _line(f"Decided by the rule {verdict.rule}: {verdict.sentence}", 0)
    _lines(notes, 0, DOUBT)


def _print_rule(rule: RuleAnswer, width: int) -> None:
    mark, style = MARKS[rule.state]
    _line(f"{mark}  {rule.name.ljust(width)}  {rule.sentence}", 1, style)
    _lines(rule.reasons, 4)
    for entry in rule.evidence[:MAX_EVIDENCE]:
        _line(_brief(entry), 4, {"dim": True})
    if len(rule.evidence) > MAX_EVIDENCE:
        _line(f"and {len(rule.evidence) - MAX_EVIDENCE} more in verdict.json", 4, {"dim": True})


def _print_symptom(symptom: SymptomAnswer, depth: int) -> None:
    _line(f"whose: {symptom.whose}: {symptom.why}", depth)
    if symptom.wants is not None:
        role, mode = symptom.wants
        _line(f"wanted: a trial {'without' if role == 'control' else 'with'} the change ({mode})", depth)
    if symptom.elsewhere:
        _line(f"failed of late elsewhere: {_few(symptom.elsewhere)}", depth)


def _print_test(answer: TestAnswer, told: Explanation) -> None:
    _heading(answer.id)
    for sighting in answer.seen:
        again = f", {sighting.round}" if sighting.round else ""
        _line(f"{sighting.gate}{again}: {sighting.seen}  ({sighting.folder})", 1)
    if answer.symptom is None:
        _line("Nothing of it needed an explanation.", 1)
        return
    _print_symptom(answer.symptom, 1)
    if not told.symptoms_asked:
        _line(f"That was not asked: the rule {told.verdict.rule} decided before.", 1, {"dim": True})
    for text in answer.symptom.would_change:
        _line(f"would have changed it: {text}", 1)


def _sightings(seen: tuple[Sighting, ...]) -> str:
    shown = [f"{entry.gate}{f', {entry.round}' if entry.round else ''}: {entry.seen}" for entry in seen]
    return "; ".join(shown)


def _brief(entry: Evidence) -> str:
    place = f" ({entry.file}{f':{entry.line}' if entry.line else ''})" if entry.file else ""
    text = entry.text.partition("\n")[0]
    return f"{entry.kind}: {text if len(text) <= MAX_EVIDENCE_LINE else f'{text[:MAX_EVIDENCE_LINE]} [...]'}{place}"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _heading(text: str) -> None:
    click.echo()
    _line(text, 0, SECTION)


def _lines(texts: Iterable[str], depth: int, style: dict[str, Any] | None = None) -> None:
    for text in texts:
        _line(text, depth, style)


def _line(text: str, depth: int, style: dict[str, Any] | None = None) -> None:
    """One line, however hostile its text; click leaves the colours out where nobody would see them."""
    from ci_scripts.views.clean_text import for_terminal

    shown = text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} [... {len(text) - MAX_LINE} characters]"
    click.echo(click.style("  " * depth + for_terminal(shown, one_line=True), **(style or {})))
