"""The table of blame: python -m benchmarks.blame.run_all

Runs ``ci-run-job`` on the real local gate once for each case, with one fault each, and prints who was blamed.
Exit code: 0 nothing was missed, 1 something was, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.blame import table
from benchmarks.blame.case import NEUTRON, Case, Result
from benchmarks.blame.case_run import STOPPED, CaseRun, clear, keep_evidence
from benchmarks.blame.cases import REGRESSIONS, chosen
from benchmarks.blame.example_site import ROOT, Site

OUTPUT = ROOT / ".ci-runs" / "blame"
SDIST = ROOT / ".demo" / "neutron.tar.gz"
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    arguments = _arguments()
    try:
        cases = chosen(arguments.only, more=arguments.more)
    except KeyError as error:
        print(f"there is no case {error}; --list shows them", file=sys.stderr)
        return 2
    if arguments.list:
        for case in cases:
            print(f"{case.name:28} {case.kind:11} {case.expected:34} {case.what}")
        return 0
    if any(case.project == NEUTRON for case in cases) and not arguments.neutron_sdist.exists():
        print(f"{arguments.neutron_sdist} is missing: make bench-blame fetches it", file=sys.stderr)
        return 2
    # As Ctrl-C does: what runs is stopped, nothing is left.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    started = time.monotonic()
    try:
        results = _run(cases, arguments)
    except KeyboardInterrupt:
        print("interrupted; everything was stopped", file=sys.stderr)
        return 130
    return _report(results, time.monotonic() - started, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Who is blamed when one thing is wrong?")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these cases; NAME* is a beginning")
    parser.add_argument("--more", action="store_true", help="also the exceptions in all the other hooks")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    parser.add_argument("--keep", action="store_true", help="keep the whole workspace of every case")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many cases at once (default: 1)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="verdicts and logs of each case")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where runs are made (default: a temporary one)")
    parser.add_argument("--neutron-sdist", type=Path, default=SDIST, metavar="FILE", help="Neutron's .tar.gz")
    parser.add_argument("--write-results", action="store_true", help=f"write {RESULTS.name} beside this file")
    return parser.parse_args()


def _run(cases: tuple[Case, ...], arguments: argparse.Namespace) -> list[Result]:
    names = {case.name for case in cases}
    wanted = [entry for entry in REGRESSIONS if entry.name in names]
    needs_neutron = any(case.project == NEUTRON for case in cases)
    with tempfile.TemporaryDirectory(prefix="blame-", dir=arguments.folder) as name:
        site = Site(Path(name) / "site", arguments.neutron_sdist if needs_neutron else None)
        site.prepare(wanted)
        healthy = [case for case in cases if case.kind == "healthy"]
        results = _in_turn(site, healthy, Path(name), arguments)
        if any(result.missed for result in results):
            print(f"a harmless change does not pass: the rest would prove nothing. See {arguments.output}.")
            return results
        return results + _in_turn(site, [case for case in cases if case not in healthy], Path(name), arguments)


def _in_turn(site: Site, cases: Sequence[Case], folder: Path, arguments: argparse.Namespace) -> list[Result]:
    """All of them, ``--jobs`` at a time; a line for each as it ends."""

    def one(case: Case) -> Result:
        result = run_case(site, case, folder / case.name, arguments.output, keep=arguments.keep)
        name, _, _, verdict, rule, seconds = table.row(result)
        print(f"{time.strftime('%H:%M:%S')} {name}: {verdict}, rule {rule}, {seconds} s", flush=True)
        return result

    with ThreadPoolExecutor(arguments.jobs) as pool:
        try:
            return list(pool.map(one, cases))
        except BaseException:
            STOPPED.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def run_case(site: Site, case: Case, folder: Path, output: Path, *, keep: bool = False) -> Result:
    """One case from its folder to its result; what shows why goes to ``output``/NAME. Nothing is left in ``folder``."""
    run = CaseRun(site, case, folder)
    try:
        result = run.go()
        keep_evidence(run, output / case.name, everything=keep)
    finally:
        left = clear(run)
    result.left = left
    return result


def _report(results: list[Result], seconds: float, arguments: argparse.Namespace) -> int:
    print()
    print(table.as_text(results))
    print()
    print("\n".join(table.rates(results)))
    print(f"{seconds / 60:.0f} minutes; verdicts and logs are in {arguments.output}")
    if arguments.write_results:
        if not table.is_complete(results):
            print("RESULTS.md is written for the whole table only", file=sys.stderr)
            return 2
        RESULTS.write_text(table.as_markdown(results, seconds))
    return 0 if table.all_well(results) else 1


if __name__ == "__main__":
    sys.exit(main())
