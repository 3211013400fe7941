"""Peak memory of the verdict over 5,000 tests and 500 MB of logs: the installed command, and the log scan alone."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from made_logs import make_logs
from measuring import BIN, machine, report
from subunit.v2 import StreamResultToBytes

AIM = 200.0
TESTS = 5_000
ONE_FAILS_IN = 100
STAGES = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "stop-gate")
COMMIT = "a" * 40
BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_run(root: Path, tests: int, megabytes: int) -> None:
    """A workspace as a finished run leaves it."""
    make_logs(root, megabytes)
    change = {"number": "1", "patchset": "1", "project": "p", "revision": COMMIT}
    checkouts = {"p": {"commit": COMMIT, "contains_revision": True}}
    run = {"run_id": "made-up", "change": change, "checkouts": checkouts, "driver": {"project": "p"}}
    _write(root / "run.json", run)
    for minute, name in enumerate(STAGES):
        begun = BEGIN + timedelta(minutes=minute)
        times = {"started": begun.isoformat(), "ended": (begun + timedelta(minutes=1)).isoformat()}
        _write(root / "stages" / f"{name}.json", {"name": name, "exit_code": 0, "reason": None, "steps": [], **times})
    services = [{"name": name, "shard": 0, "state": "stopped", "exit_status": 0} for name in ("keystone", "neutron")]
    _write(root / "logs/gate/gate-status.json", {"services": services})
    driver = {"distribution": "d", "version": "1", "commit": COMMIT, "mechanism_drivers": ["example"]}
    _write(root / "logs/driver.json", driver)
    (root / "logs/packages.txt").write_text("# Python 3.11.7\nneutron==29.0.0\n")
    make_stream(root / "logs", tests)


def make_stream(logs: Path, tests: int) -> None:
    """testrepository.subunit with the log of every test attached, as Tempest does it, and the list of the tests."""
    chance, names = random.Random(1), []
    with open(logs / "testrepository.subunit", "wb") as file:
        writer = StreamResultToBytes(file)
        for number in range(tests):
            name = f"tempest.api.network.test_made_{number // 50}.MadeTest.test_{number}[id-{chance.getrandbits(64):x}]"
            began = BEGIN + timedelta(seconds=number)
            writer.status(test_id=name, test_status="inprogress", timestamp=began)
            failed = number % ONE_FAILS_IN == 7
            for attached in ("pythonlogging:''", *(("traceback",) if failed else ())):
                text = "".join(f"{attached} {chance.getrandbits(512):0128x}\n" for _ in range(30)).encode()
                writer.status(test_id=name, file_name=attached, file_bytes=text, mime_type="text/plain; charset=utf8")
            status = "fail" if failed else "success"
            writer.status(test_id=name, test_status=status, timestamp=began + timedelta(milliseconds=900))
            names.append(name)
    (logs / "selected-tests.txt").write_text("\n".join(names) + "\n")


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema": 1, **content}))


def peak_of(argv: Sequence[str | Path]) -> tuple[float, float]:
    """Most memory that a command held, in MB, and its seconds."""
    started = time.perf_counter()
    child = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # The made-up run has failed tests and no control: 1 or 3, but never a bug.
    if child.returncode not in (0, 1, 3):
        sys.exit(f"{argv[0]} ended with {child.returncode}:\n{said.decode(errors='replace')[-4000:]}")
    return usage.ru_maxrss / 1000, time.perf_counter() - started


SCAN = """
import sys
from pathlib import Path
from ci_scripts.verdict.log_scan import scan_logs
from ci_scripts.verdict.signatures import load_signatures
found = scan_logs(Path(sys.argv[1]), load_signatures())
print(found)
"""


def main() -> None:
    """Make the run, and measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--tests", type=int, default=TESTS)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        workspace = Path(name)
        make_run(workspace, options.tests, options.megabytes)
        what = f"{options.tests} tests, {options.megabytes} MB of logs"
        peak, seconds = peak_of([sys.executable, "-c", SCAN, workspace])
        report("verdict_memory, scan of the logs", f"{what}, {seconds:.1f} s, MB", peak, AIM)
        peak, seconds = peak_of([BIN / "ci-summarize-results", "--workspace", workspace])
        counts = json.loads((workspace / "verdict.json").read_text())["counts"]
        if counts["total"] != options.tests:
            sys.exit(f"the verdict counts {counts}")
        report("verdict_memory", f"ci-summarize-results, {what}, {seconds:.1f} s, MB", peak, AIM)


if __name__ == "__main__":
    main()
