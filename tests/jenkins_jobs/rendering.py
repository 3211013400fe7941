"""The jobs as the real ``jenkins-jobs test`` renders them, and the folder of what they have to be."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT / "jenkins-jobs"
BIN = Path(sys.executable).parent
GOLDEN = ROOT / "tests" / "golden_jobs"
# By the name of their folder in GOLDEN.
PROJECTS = {
    "example": ROOT / "examples" / "jenkins" / "project.yaml",
    **{path.stem: path for path in sorted((Path(__file__).parent / "projects").glob("*.yaml"))},
}
RENEW = "python tests/jenkins_jobs/renew.py"
SECONDS = 120


def render(project: Path, folder: Path) -> dict[str, str]:
    """config.xml by name of the job, written below ``folder`` by jenkins-jobs."""
    argv = [str(BIN / "jenkins-jobs"), "--log_level", "error", "test", "--config-xml"]
    argv += ["-o", str(folder), f"{DEFINITIONS}:{project}"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout
    return {path.parent.name: path.read_text() for path in sorted(folder.glob("*/config.xml"))}


@dataclass(frozen=True)
class Job:
    """One rendered job."""

    name: str
    text: str

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.text)

    @property
    def is_pipeline(self) -> bool:
        return self.xml.tag == "flow-definition"

    @property
    def is_trusted(self) -> bool:
        return self.name.endswith(("-report", "-maintenance"))

    @property
    def groovy(self) -> str:
        """The Pipeline's script."""
        return self.xml.findtext("definition/script") or ""

    @property
    def steps(self) -> list[str]:
        """The shell scripts of a freestyle job, in order."""
        return [command.text or "" for command in self.xml.iterfind("builders/hudson.tasks.Shell/command")]

    @property
    def scripts(self) -> list[str]:
        """Every shell script of either form, in order."""
        if not self.is_pipeline:
            return self.steps
        found = re.findall(r"script: (?:'''(.*?)'''|\"(.*?)\"|'([^']*)')", self.groovy, re.DOTALL)
        return [re.sub(r"\\\n\s*", "", "".join(one)).replace("\\\\", "\\") for one in found]

    def commands(self) -> list[list[str]]:
        """Every call of a ci-* command with its arguments, in order."""
        return [call for script in self.scripts for line in _lines(script) for call in _calls(line)]

    def parameters(self) -> list[str]:
        return [found.text or "" for found in self.xml.iter("name") if (found.text or "").isupper()]

    def labels(self) -> set[str]:
        assigned = self.xml.findtext("assignedNode")
        return {assigned} if assigned else set(re.findall(r"\bnode\('([^']*)'\)", self.groovy))


def _lines(script: str) -> list[str]:
    joined = script.replace("\\\n", " ")
    return [line for line in map(str.strip, joined.splitlines()) if "ci-" in line and not line.startswith("#")]


def _calls(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    call: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&") or word in ("then", "fi"):
            if call and call[0].startswith("ci-") and "/" not in call[0]:
                yield call
            call = []
        else:
            call.append(word)


def rendered(project: Path, folder: Path) -> list[Job]:
    return [Job(name, text) for name, text in render(project, folder).items()]
