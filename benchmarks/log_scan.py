"""All signatures over made-up logs in one pass, against `grep -E -f` with the same patterns and files, in turn.

`--megabytes 500` is what the aim is for; less is quicker. Then the same for a log in which every line matches.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from made_logs import make_logs
from measuring import Sample, in_pairs, machine, report, timed

from ci_scripts.verdict.log_scan import scan_logs
from ci_scripts.verdict.signatures import load_signatures

AIM = 2.5
AIM_WORST = 5.0
PAIRS = 5


def scan(workspace: Path) -> None:
    """In a process of its own: every signature in every file, as grep does it."""
    signatures = [replace(signature, where=("logs/**",)) for signature in load_signatures()]
    found = scan_logs(workspace, signatures)
    print(f"{len(found.hits)} hits in {found.files} files, {found.bytes} bytes, {len(found.problems)} problems")
    if found.problems:
        sys.exit(2)


def compare(name: str, workspace: Path, files: list[Path], aim: float) -> None:
    """One line for these files."""
    patterns = workspace / "patterns"
    patterns.write_text("".join(f"{signature.pattern}\n" for signature in load_signatures()))
    # -c: grep only counts, which is the least it can do.
    grep = ["grep", "-a", "-c", "-E", "-f", patterns, *files]

    def ours() -> Sample:
        return timed([sys.executable, __file__, "--scan", workspace])

    mine, its, ratio = in_pairs(ours, lambda: timed(grep, {"LC_ALL": "C"}), PAIRS)
    size = sum(path.stat().st_size for path in files) / 1_000_000
    report(name, f"{mine:.2f} s against {its:.2f} s, {size:.0f} MB, {PAIRS} pairs", ratio, aim)


def main() -> None:
    """Make the logs, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--scan", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scan:
        scan(options.scan)
        return
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        usual, worst = Path(name, "usual"), Path(name, "worst")
        compare("log_scan", usual, make_logs(usual, options.megabytes), AIM)
        files = make_logs(worst, max(1, options.megabytes // 5), failures=1)
        compare("log_scan, every line matches", worst, files, AIM_WORST)


if __name__ == "__main__":
    main()
