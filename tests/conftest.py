"""Fixtures that tests of more than one folder use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import FakeIndex, FakeSite


@pytest.fixture(scope="session")
def fake_index(tmp_path_factory: pytest.TempPathFactory) -> FakeIndex:
    return FakeIndex(tmp_path_factory.mktemp("fake-index"))


@pytest.fixture
def fake_site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[FakeSite]:
    """A folder in which the installed commands work with a fake OpenStack. Nothing may be left when a test ends."""
    site = FakeSite(tmp_path / "site", fake_index)
    try:
        yield site
        assert site.left() == []
    finally:
        site.clear()


@pytest.fixture
def prepared_site(fake_site: FakeSite) -> FakeSite:
    """As ci-prepare-gate and ci-install-driver leave it."""
    fake_site.prepare()
    return fake_site
