"""ci-run-tempest against a bare `tempest run` of the same 40 tests, on the same running gate, with as many workers."""

import shutil
import tempfile
from pathlib import Path

from measuring import BIN, Sample, in_pairs, machine, prepared_run, report, shards_variable, timed

AIM = 1.05
PAIRS = 5
TESTS = 40
WORKERS = 2


def choose(workspace: Path) -> Path:
    """A list with the first 40 of the example's tests, as both commands read it."""
    ours = [BIN / "ci-run-tempest", "--workspace", workspace, "--no-checks"]
    timed(ours, shards_variable(1))
    names = (workspace / "logs" / "selected-tests.txt").read_text().split()[:TESTS]
    path = workspace / "tests.txt"
    path.write_text("".join(f"^{name.split('[')[0]}\\[\n" for name in names))
    return path


def make_bare(workspace: Path) -> Path:
    """A folder for the bare command, as tempest init makes it, with the shard's tempest.conf."""
    folder = workspace / "bare"
    timed([workspace / "environments" / "tempest" / "bin" / "tempest", "init", folder])
    shutil.copy(workspace / "gate" / "shard0" / "tempest" / "etc" / "tempest.conf", folder / "etc")
    return folder


def bare(workspace: Path, folder: Path, include_list: Path) -> Sample:
    """tempest run as a person would call it."""
    program = workspace / "environments" / "tempest" / "bin" / "tempest"
    argv = [program, "run", "--include-list", include_list, "--concurrency", str(WORKERS)]
    env = {"TEMPEST_CONFIG_DIR": str(folder / "etc"), "PYTHONWARNINGS": "ignore", "HOME": str(folder)}
    return timed(argv, env, cwd=folder)


if __name__ == "__main__":
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        workspace = prepared_run(Path(name) / "run", 1)
        timed([BIN / "ci-start-gate", "--workspace", workspace], shards_variable(1))
        try:
            listed = choose(workspace)
            folder = make_bare(workspace)
            ours = [BIN / "ci-run-tempest", "--workspace", workspace, "--no-checks", "--include-list", listed]
            ours += ["--regex", ".", "--concurrency", str(WORKERS)]
            mine, its, ratio = in_pairs(
                lambda: timed(ours, shards_variable(1)), lambda: bare(workspace, folder, listed), PAIRS
            )
            report("run_tempest", f"{mine:.1f} s against {its:.1f} s, {TESTS} tests, {PAIRS} pairs", ratio, AIM)
        finally:
            timed([BIN / "ci-stop-gate", "--workspace", workspace], shards_variable(1))
