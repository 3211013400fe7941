"""ci-run-tempest --help against the bare import of click."""

import sys

from measuring import BIN, in_pairs, machine, report, timed

AIM = 2.5
PAIRS = 25

if __name__ == "__main__":
    print(machine())
    ours, peer, ratio = in_pairs(
        lambda: timed([BIN / "ci-run-tempest", "--help"]),
        lambda: timed([sys.executable, "-c", "import click"]),
        PAIRS,
    )
    report("help", f"{1000 * ours:.0f} ms against {1000 * peer:.0f} ms, {PAIRS} pairs", ratio, AIM)
