"""The example's check after unit tests: did the controller hear of the driver, and did it understand?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gate_context import http_server

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "controller" / "check_journal.py"
LINE = "2026-01-31T12:00:00.000+00:00 17 neutron.plugins.ml2.managers Loaded mechanism driver names: ['logger', '{}']\n"
REFUSAL = {"method": "PUT", "path": "/ports/1", "status": 400, "problems": ["mac_address is missing"]}


def check(folder: Path, url: str, starts: int, driver: str = "example") -> tuple[int, str]:
    log = folder / "neutron-0.log"
    if starts:
        log.write_text(LINE.format(driver) * starts)
    argv = [sys.executable, str(PROGRAM), "--controller", url, "--loaded", str(log)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def journal(networks: int, *refusals: dict[str, Any]) -> dict[str, Any]:
    return {"created": {"networks": networks, "ports": 0}, "refused": len(refusals), "refusals": list(refusals)}


@pytest.mark.parametrize(
    ("answer", "starts", "driver", "expected"),
    [
        (journal(12), 30, "example", 0),
        # A worker that had no test with the driver, or few of them.
        (journal(0), 0, "example", 0),
        (journal(0), 3, "example", 0),
        (journal(0), 30, "openvswitch", 0),
        (journal(0), 30, "example", 1),
        (journal(12, REFUSAL), 30, "example", 1),
    ],
)
def test_what_the_journal_says(tmp_path: Path, answer: dict[str, Any], starts: int, driver: str, expected: int) -> None:
    with http_server(lambda method, path, body: (200 if path == "/journal" else 404, {}, answer)) as url:
        code, said = check(tmp_path, url, starts, driver)
    assert code == expected, said
    assert f"networks; refused: {answer['refused']}" in said.replace(", 0 ports", "")
    assert ("mac_address is missing" in said) == bool(answer["refused"])


def test_a_controller_that_cannot_be_asked_is_no_failed_check(tmp_path: Path) -> None:
    with http_server(lambda method, path, body: (500, {}, {})) as url:
        assert check(tmp_path, url, 30)[0] == 3
    code, said = check(tmp_path, "http://127.0.0.1:1", 30)
    assert code == 3
    assert "could not be asked" in said
