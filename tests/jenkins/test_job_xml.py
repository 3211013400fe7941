"""Normal forms of jobs: what counts as a difference, and what does not."""

from __future__ import annotations

import pytest

from ci_scripts.jenkins.job_xml import (
    NotAJob,
    difference,
    is_disabled,
    is_folder,
    is_made_by_builder,
    normal_lines,
    with_disabled,
)
from ci_scripts.jenkins.needed_plugins import needed_plugins

JOB = """<?xml version="1.0" encoding="utf-8"?>
<project>
  <actions/>
  <description>Tests changes &lt;b&gt;ü&lt;/b&gt;&lt;!-- made --&gt;</description>
  <canRoam>true</canRoam>
  <concurrentBuild>false</concurrentBuild>
  <properties>
    <a.Property><name>x</name><trim>false</trim></a.Property>
  </properties>
  <builders>
    <hudson.tasks.Shell><command>set -eu
ci-run-gate
</command></hudson.tasks.Shell>
    <hudson.plugins.timestamper.TimestamperBuildWrapper/>
  </builders>
</project>
"""
# As Jenkins writes it when it saves it: XML 1.1, versions, another order, fields with their default.
SAVED = """<?xml version='1.1' encoding='UTF-8'?>
<project>
  <builders>
    <hudson.tasks.Shell><command>set -eu&#xd;
ci-run-gate&#xd;
</command><unstableReturn>0</unstableReturn><configuredLocalRules/></hudson.tasks.Shell>
    <hudson.plugins.timestamper.TimestamperBuildWrapper plugin="timestamper@1.27"/>
  </builders>
  <publishers/>
  <properties>
    <a.Property plugin="a@2.1"><trim>false</trim><name>x</name></a.Property>
  </properties>
  <canRoam>true</canRoam>
  <disabled>true</disabled>
  <description>Tests changes &lt;b&gt;ü&lt;/b&gt;&lt;!-- made --&gt;</description>
</project>
"""


def test_what_jenkins_saved_means_the_same() -> None:
    assert difference("a", normal_lines(SAVED), normal_lines(JOB)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ci-run-gate", "true"),
        ("ci-run-gate\n", "ci-run-gate\n\n"),
        ("<canRoam>true</canRoam>", "<canRoam>false</canRoam>"),
        ("<concurrentBuild>false", "<concurrentBuild>true"),
        ("<name>x</name>", "<name>y</name>"),
        ("<hudson.plugins.timestamper.TimestamperBuildWrapper/>", ""),
        ("ü", "u"),
        ("<properties>", '<properties class="other">'),
    ],
)
def test_what_counts(old: str, new: str) -> None:
    assert old in JOB
    assert difference("a", normal_lines(JOB), normal_lines(JOB.replace(old, new)))


def test_the_order_of_steps_counts() -> None:
    one, two = "<builders><a.B><x>1</x></a.B><c.D/></builders>", "<builders><c.D/><a.B><x>1</x></a.B></builders>"
    assert normal_lines(one) != normal_lines(two)
    assert normal_lines("<p><l><string>a</string><string/></l></p>") != normal_lines("<p><l><string>a</string></l></p>")


def test_a_diff_is_by_lines_of_the_script() -> None:
    found = difference("ci/a", normal_lines(JOB.replace("ci-run-gate", "true")), normal_lines(JOB))
    assert found[:2] == ["--- server: ci/a", "+++ definitions: ci/a"]
    assert [line for line in found[2:] if line[:1] in "+-"] == ["-        true", "+        ci-run-gate"]


def test_a_long_diff_is_not_made() -> None:
    long = [f"<a>{number}</a>" for number in range(20_000)]
    assert difference("a", long, [*long, "x"]) == ["a: differs, and is too long to be compared line by line"]


def test_disabled() -> None:
    assert is_disabled(JOB) is None and is_disabled(SAVED) is True
    assert is_disabled(with_disabled(JOB, True)) is True and is_disabled(with_disabled(SAVED, False)) is False
    assert normal_lines(with_disabled(JOB, True)) == normal_lines(JOB)
    assert normal_lines(with_disabled(JOB, True), with_state=True) != normal_lines(JOB, with_state=True)


def test_who_made_it() -> None:
    assert is_made_by_builder(JOB, "<!-- made -->") and not is_made_by_builder("<project/>", "<!-- made -->")
    assert is_folder("<com.cloudbees.hudson.plugins.folder.Folder/>") and not is_folder(JOB)


@pytest.mark.parametrize("text", ["", "x", "<a>", "<!DOCTYPE a><a/>", "<a>\ud800</a", "<a>" * 9 + "\0"])
def test_what_is_no_job(text: str) -> None:
    with pytest.raises(NotAJob):
        normal_lines(text)


def test_characters_that_only_xml_1_1_knows() -> None:
    assert normal_lines("<?xml version='1.1' encoding='UTF-8'?><p><d>&#x1b;[2J&#9;&#128512;</d></p>") == [
        "<p>",
        "  <d>\\x1b[2J\t\U0001f600</d>",
        "</p>",
    ]


def test_plugins_that_a_job_needs() -> None:
    definition = "org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"
    pipeline = (
        f'<flow-definition plugin="workflow-job"><definition class="{definition}"><script>timestamps {{\n'
        "  lock('controller') { junit 'x.xml' }\n}</script></definition></flow-definition>"
    )
    wanted = {"workflow-job", "workflow-cps", "timestamper", "lockable-resources", "junit"}
    assert needed_plugins(pipeline) == wanted
    freestyle = "<project><buildWrappers><hudson.plugins.build__timeout.BuildTimeoutWrapper/></buildWrappers></project>"
    assert needed_plugins(freestyle) == {"build-timeout"}
    assert needed_plugins(JOB) == {"timestamper"}
