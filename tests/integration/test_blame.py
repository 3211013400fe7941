"""A small part of benchmarks/blame: two faults of the CI that look like the change's, two regressions that do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.blame.case import Result
from benchmarks.blame.cases import REGRESSIONS, chosen
from benchmarks.blame.example_site import Site
from benchmarks.blame.run_all import run_case

pytestmark = pytest.mark.gate
# A driver that cannot be loaded at all is in test_bad_input_real_gate.py.
WRONG_DRIVERS = ("only-ipv6",)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("blame") / "site", neutron_sdist=None)
    made.prepare(entry for entry in REGRESSIONS if entry.name in WRONG_DRIVERS)
    yield made


def _run(site: Site, folder: Path, name: str) -> Result:
    (case,) = chosen([name])
    result = run_case(site, case, folder / name, folder / "evidence")
    assert not result.void, result.void
    assert result.left == []
    return result


@pytest.mark.parametrize("name", ["environment-loses", "controller-refuses"])
def test_a_fault_of_the_ci_is_not_blamed_on_the_change(site: Site, tmp_path: Path, name: str) -> None:
    result = _run(site, tmp_path, name)
    assert result.blame != "change", result
    assert result.exit_code in (0, 3)


@pytest.mark.parametrize("name", WRONG_DRIVERS)
def test_a_regression_is_blamed_on_the_change(site: Site, tmp_path: Path, name: str) -> None:
    result = _run(site, tmp_path, name)
    assert (result.blame, result.exit_code) == ("change", 1), result
