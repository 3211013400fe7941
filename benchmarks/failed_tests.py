"""What reruns and trials add to a run in which three tests fail, because a change makes updates of ports fail."""

import json
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from measuring import BIN, DEMO, ROOT, machine, report, timed

AIM = 60.0
FAILING = 3
OLD = "    def update_port_postcommit(self, context):\n"
NEW = "    def update_port_precommit(self, context):\n        raise ValueError('no port can be updated')\n\n" + OLD
REF = "refs/changes/99/99/1"
REGEX = (
    r"^tempest\.api\.network\.(test_networks\.NetworksTest|test_ports\.PortsTestJSON\."
    r"(test_create_bulk_port|test_show_port|test_create_update_delete_port|test_update_port_with_))"
)


def push_the_change(folder: Path) -> None:
    """The example driver with the fault, as a change in the demonstration's repository."""
    tree = folder / "tree"
    for argv in (
        ["git", "clone", "--quiet", str(DEMO / "networking-example.git"), str(tree)],
        ["git", "-C", str(tree), "config", "user.email", "nobody@example.org"],
        ["git", "-C", str(tree), "config", "user.name", "Nobody"],
    ):
        subprocess.run(argv, check=True, timeout=60)
    driver = tree / "networking_example" / "mechanism_driver.py"
    text = driver.read_text()
    if text.count(OLD) != 1:
        sys.exit(f"{driver.name} has changed: {OLD!r} is not in it once")
    driver.write_text(text.replace(OLD, NEW))
    for argv in (
        ["git", "-C", str(tree), "commit", "--quiet", "--all", "--message", "Refuse to update ports"],
        ["git", "-C", str(tree), "push", "--quiet", "--force", "origin", f"HEAD:{REF}"],
    ):
        subprocess.run(argv, check=True, timeout=60)


def seconds_of(stage: dict[str, object], beginning: str) -> float:
    """Seconds of the steps of a stage whose names begin so."""
    steps = stage["steps"]
    assert isinstance(steps, list)
    return sum(step["seconds"] for step in steps if step["name"].startswith(beginning))


if __name__ == "__main__":
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        timed([sys.executable, ROOT / "examples" / "make_repositories.py", "--into", DEMO])
        push_the_change(folder)
        change = ["--change", "99,1", "--project", "example/networking-example", "--ref", REF]
        argv = [BIN / "ci-run-job", "--config", ROOT / "examples" / "ci.yaml", "--workspace", folder / "run", *change]
        whole = timed([*argv, "--url", DEMO / "networking-example.git", "--regex", REGEX])
        verdict = json.loads((folder / "run" / "verdict.json").read_text())
        stages = {path.stem: json.loads(path.read_text()) for path in (folder / "run" / "stages").glob("*.json")}
        control = stages["control-runs"]
        trials = datetime.fromisoformat(control["ended"]) - datetime.fromisoformat(control["started"])
        reruns = seconds_of(stages["run-tempest"], "run ")
        reruns -= seconds_of(stages["run-tempest"], "run the tests")
        added = reruns + trials.total_seconds()
        tests = json.loads((folder / "run" / "tests.json").read_text())["tests"]
        failed = [test["id"] for test in tests if test["status"] == "failed"]
        checks = [name for name in failed if name.startswith("checks.")]
        count = len(failed) - len(checks)
        print(f"{count} tests and {len(checks)} checks failed; {verdict['outcome']}, blame {verdict['blame']}")
        parts = (
            f"reruns {reruns:.1f} s, trials {trials.total_seconds():.1f} s, whole job {whole.wall:.1f} s; added seconds"
        )
        report("failed_tests", parts, added, AIM)
        if count != FAILING or verdict["blame"] != "change":
            sys.exit(f"{FAILING} failed tests and blame change were expected")
