"""The change under test: one patch set of one change, and the changes that are tested together with it.

It is described by flags, by a Zuul variables file (version 3 and newer), by Zuul 2's variables or by Jenkins'
Gerrit Trigger, in this order of precedence. Every value is checked by pattern before anything uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ci_scripts import gerrit_trigger, zuul_variables
from ci_scripts.errors import ConfigurationError
from ci_scripts.untrusted_words import (
    Inspection,
    Word,
    branch_problem,
    change_of_ref,
    number_problem,
    project_problem,
    ref_by_hand_problem,
    ref_of_change,
    ref_problem,
    revision_problem,
    url_by_hand_problem,
    url_problem,
    web_url_problem,
    without_control_characters,
    word_problem,
)

if TYPE_CHECKING:
    from ci_scripts.gerrit.needed import NeededChange

CONTROL_RUN = "control-run"
TRIGGERS = ("flags", "zuul-v3", "zuul-v2", "gerrit-trigger", CONTROL_RUN)
NOTHING: Mapping[str, str] = MappingProxyType({})
FLAGS = ("change", "project", "ref", "url", "branch", "pipeline")
DEFAULT_PIPELINE = "check"
CONTROL_PIPELINE = "control"
DEFAULT_BRANCH = "master"
FOUR_WAYS = (
    "start it from Jenkins' Gerrit Trigger (GERRIT_CHANGE_NUMBER and so on), from Zuul 2 (ZUUL_CHANGE and so on), "
    "with a Zuul variables file (--zuul-variables FILE), or name the change: "
    "--change 1,1 --project openstack/neutron --url https://review.example.org/openstack/neutron."
)
Words = dict[str, Word | None]


class NoChange(ConfigurationError):
    """Neither flags nor a trigger name a change."""


@dataclass(frozen=True)
class ChangeUnderTest:
    """One patch set of one change; every value has passed the patterns of `untrusted_words`.

    ``revision``: the commit that ``ref`` points at, as far as the trigger says. For Zuul 2 that is Zuul's own
    merge (ZUUL_COMMIT), not the patch set as it was uploaded. ``comment`` is free text: it may hold line feeds,
    no other control characters. ``also``: what is tested together with it, dependencies first.

    A control run has no change: its "change" is the tip of a branch, without number and patch set.
    """

    number: str
    patchset: str
    project: str
    branch: str
    ref: str
    revision: str | None = None
    url: str | None = None
    change_url: str | None = None
    pipeline: str = DEFAULT_PIPELINE
    uuid: str | None = None
    event_type: str | None = None
    comment: str | None = None
    trigger: str = "flags"
    also: tuple[ChangeUnderTest, ...] = field(default=())

    @property
    def name(self) -> str:
        """Change and patch set as Gerrit's users write them: ``1,1``. Empty for a control run."""
        return f"{self.number},{self.patchset}" if self.number else ""

    @property
    def is_control(self) -> bool:
        """No change, but the tip of a branch: see `branch_tip`."""
        return self.trigger == CONTROL_RUN

    @property
    def given_by_hand(self) -> bool:
        """A person named the change: a ref that is not there is an error at once, not replication lag."""
        return self.trigger == "flags"

    def as_record(self) -> dict[str, str | None]:
        """The ``change`` entry of run.json; ``trigger`` and ``also`` have entries of their own there."""
        record = {name: value for name, value in asdict(replace(self, also=())).items() if name != "also"}
        del record["trigger"]
        return {**record, "number": self.number or None, "patchset": self.patchset or None}


def change_from(
    environment: Mapping[str, str],
    *,
    flags: Mapping[str, str | None] = NOTHING,
    zuul_file: Path | None = None,
    project_urls: Mapping[str, str] = NOTHING,
    project_branches: Mapping[str, str] = NOTHING,
) -> ChangeUnderTest:
    """The change that this run is about.

    ``flags`` may hold the names of FLAGS. A flag goes before what the trigger says about the same thing.
    ``project_urls`` is where ci.yaml says that a project is fetched from: it goes before an address that is guessed
    from Gerrit's, not before a flag or Zuul 2's merger. ``project_branches`` is used when flags name no branch.

    Raises NoChange if there is none, or ConfigurationError with everything that is wrong with the values at once.
    """
    given = {name: Word(f"--{name}", value) for name, value in flags.items() if value}
    trigger, items = _described(environment, given, zuul_file)
    inspection = Inspection()
    for words in items:
        _prefer_configured_url(words, trigger, project_urls)
    also = [_checked(words, trigger, inspection) for words in items[:-1]]
    under_test = items[-1]
    under_test.update({name: word for name, word in given.items() if name != "change"})
    if trigger == "flags" and under_test.get("branch") is None:
        project = under_test.get("project")
        branch = project_branches.get(project.value if project else "", DEFAULT_BRANCH)
        under_test["branch"] = Word("the project's branch", branch)
    change = _checked(under_test, trigger, inspection)
    inspection.finish()
    pipeline = change.pipeline
    return replace(change, also=tuple(replace(item, pipeline=pipeline) for item in also))


def branch_tip(project: Word, branch: Word, url: Word | None) -> ChangeUnderTest:
    """What a control run is about: a branch as it is, without any change. Raises ConfigurationError."""
    inspection = Inspection()
    tip = _tip_checked({"project": project, "branch": branch, "url": url}, inspection)
    inspection.finish()
    return tip


def _tip_checked(words: Words, inspection: Inspection) -> ChangeUnderTest:
    branch = inspection.require(words.get("branch"), branch_problem, "the branch")
    return ChangeUnderTest(
        number="",
        patchset="",
        project=inspection.require(words.get("project"), project_problem, "the project"),
        branch=branch,
        ref=f"refs/heads/{branch}",
        revision=inspection.accept(words.get("revision"), revision_problem),
        url=inspection.accept(words.get("url"), url_by_hand_problem),
        pipeline=CONTROL_PIPELINE,
        trigger=CONTROL_RUN,
    )


def change_from_record(run: Mapping[str, Any]) -> ChangeUnderTest:
    """The change as run.json has it; checked again, because the file may come from a node that ran the change.

    Raises ConfigurationError.
    """
    inspection = Inspection()
    trigger = next((name for name in TRIGGERS if name == run.get("trigger")), "")
    records = [*_records(run.get("also")), *_records([run.get("change")])]
    if not trigger or not isinstance(run.get("change"), Mapping):
        raise ConfigurationError("run.json names no change or no trigger.", next_step="run ci-prepare-gate again.")
    changes = []
    for record in records:
        words: Words = {
            name: Word(f"run.json: change.{name}", value)
            for name, value in record.items()
            if isinstance(value, str) and value
        }
        if trigger == CONTROL_RUN:
            changes.append(_tip_checked(words, inspection))
            continue
        comment = words.pop("comment", None)
        # run.json holds what was accepted by hand as well; only its own node's prepare-gate uses the url.
        change = _checked(words, "flags", inspection)
        text = without_control_characters(comment.value) if comment else None
        changes.append(replace(change, trigger=trigger, comment=text))
    inspection.finish()
    return replace(changes[-1], also=tuple(changes[:-1]))


def change_needed_by(
    change: ChangeUnderTest, needed: NeededChange, server: str, project_urls: Mapping[str, str]
) -> ChangeUnderTest:
    """A dependency of ``change`` as the Gerrit at ``server`` tells of it, checked like the words of a trigger.

    Raises ConfigurationError for one that is not usable.
    """
    values = {
        "number": str(needed.number),
        "patchset": str(needed.patch_set),
        "project": needed.project,
        "branch": needed.branch,
        "ref": needed.ref,
        "revision": needed.revision,
        "change_url": f"{server}/c/{needed.project}/+/{needed.number}",
        "pipeline": change.pipeline,
        "url": f"{server}/{needed.project}",
    }
    words: Words = {name: Word(f"Gerrit's {name}", value) for name, value in values.items()}
    _prefer_configured_url(words, change.trigger, project_urls)
    inspection = Inspection()
    item = _checked(words, change.trigger, inspection)
    inspection.finish()
    return item


def _records(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, Sequence) else []


def _described(
    environment: Mapping[str, str], given: Mapping[str, Word], zuul_file: Path | None
) -> tuple[str, list[Words]]:
    if "change" in given or ("ref" in given and change_of_ref(given["ref"].value)):
        return "flags", [_words_of_flags(given)]
    if zuul_file is not None:
        return "zuul-v3", zuul_variables.words_of_zuul_file(zuul_file)
    if (items := zuul_variables.words_of_zuul_v2(environment)) is not None:
        return "zuul-v2", items
    if (words := gerrit_trigger.words_of_gerrit_trigger(environment)) is not None:
        return "gerrit-trigger", [words]
    why = zuul_variables.what_else_started(environment) or gerrit_trigger.what_else_started(environment)
    raise NoChange(f"No change to test is given{': ' + why if why else ''}.", next_step=FOUR_WAYS)


def _words_of_flags(given: Mapping[str, Word]) -> Words:
    words: Words = dict(given)
    change = words.pop("change", None)
    if change is None:
        number, patchset = change_of_ref(given["ref"].value) or ("", "")
        return {**words, "number": Word("--ref", number), "patchset": Word("--ref", patchset)}
    number, _, patchset = change.value.replace("/", ",").partition(",")
    words["number"] = Word("--change", number)
    if patchset:
        words["patchset"] = Word("--change", patchset)
        words.setdefault("ref", Word("--change", ref_of_change(number, patchset)))
    return words


def _prefer_configured_url(words: Words, trigger: str, project_urls: Mapping[str, str]) -> None:
    project = words.get("project")
    url = project_urls.get(project.value) if project else None
    ref = words.get("ref")
    only_at_zuul = trigger == "zuul-v2" and ref is not None and ref.value.startswith("refs/zuul/")
    if url is not None and not only_at_zuul:
        words["url"] = Word("ci.yaml", url)


def _checked(words: Words, trigger: str, inspection: Inspection) -> ChangeUnderTest:
    """The change that ``words`` describe. After a problem its values are not to be used: `finish` raises."""
    by_hand = trigger == "flags"
    url = words.get("url")
    configured = url is not None and url.origin == "ci.yaml"
    typed = url is not None and url.origin == "--url"
    ref = words.get("ref")
    ref_rule = ref_by_hand_problem if by_hand or (ref is not None and ref.origin == "--ref") else ref_problem
    url_rule = url_by_hand_problem if by_hand or configured or typed else url_problem
    comment = words.get("comment")
    change = ChangeUnderTest(
        number=inspection.require(words.get("number"), number_problem, "the change's number"),
        patchset=inspection.require(words.get("patchset"), number_problem, "the patch set's number"),
        project=inspection.require(words.get("project"), project_problem, "the change's project"),
        branch=inspection.require(words.get("branch"), branch_problem, "the change's branch"),
        ref=inspection.require(ref, ref_rule, "the change's ref"),
        revision=inspection.accept(words.get("revision"), revision_problem),
        url=inspection.accept(url, url_rule),
        change_url=inspection.accept(words.get("change_url"), web_url_problem),
        pipeline=inspection.accept(words.get("pipeline"), word_problem) or DEFAULT_PIPELINE,
        uuid=inspection.accept(words.get("uuid"), word_problem),
        event_type=inspection.accept(words.get("event_type"), word_problem),
        comment=gerrit_trigger.comment_text(comment.value) if comment else None,
        trigger=trigger,
    )
    named = change_of_ref(change.ref)
    if named is not None and change.number and change.patchset and named != (change.number, change.patchset):
        inspection.problems.append(f"the ref {change.ref} is not of the change {change.name}")
    return change
