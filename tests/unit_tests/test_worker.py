"""The program around stestr's runner: what it keeps of Neutron's log, and what it keeps out of the stream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ci_scripts.unit_tests import worker

# As Neutron's base class for tests does: its loggers say nothing below ERROR.
NEUTRON = """\
import logging, os, subprocess, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format='HEARD %(message)s')
logging.getLogger('neutron').setLevel(logging.ERROR)
log = logging.getLogger('neutron.plugins.ml2.managers')
log.info('Configured mechanism driver names: %s', ['x'])
log.info('Loaded mechanism driver names: %s', ['logger', 'example'])
log.error('something is wrong')
print('printed', flush=True)
subprocess.run([sys.executable, '-c', 'print("by a child")'], check=True)
sys.stdout.buffer.write(b'the stream ' + os.environ.get('CI_LOADED_DRIVERS_LOG', 'none').encode())
assert sys.path[0] == os.getcwd() and sys.argv[1:] == ['discover', '-t', '.']
"""


def test_what_it_keeps(tmp_path: Path) -> None:
    package = tmp_path / "stestr" / "subunit_runner"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    (package / "run.py").write_text(NEUTRON)
    log = tmp_path / "neutron-0.log"
    done = subprocess.run(
        [sys.executable, str(worker.__file__), "discover", "-t", "."],
        cwd=tmp_path,
        env={worker.LOG: str(log)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "the stream none"), done.stderr
    assert sorted(done.stderr.splitlines()) == ["HEARD something is wrong", "by a child", "printed"]
    (line,) = log.read_text().splitlines()
    assert line.endswith("neutron.plugins.ml2.managers Loaded mechanism driver names: ['logger', 'example']")
