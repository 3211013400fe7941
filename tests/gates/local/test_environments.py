"""Which interpreter the environments of a run get."""

from __future__ import annotations

import sys

from tests.fakes.fake_openstack import FakeSite


def test_a_branch_may_have_a_python_of_its_own(fake_site: FakeSite) -> None:
    fake_site.write_config(gate={"python": sys.executable}, branches={"master": {"python": "3.99"}})

    done = fake_site.command("ci-prepare-gate", *fake_site.change_flags())

    assert done.exit_code == 3
    said = done.paragraph("ci-prepare-gate")
    assert "there is no Python 3.99 on this machine (branches.master.python)" in said
    assert "leave branches.master.python out" in said
