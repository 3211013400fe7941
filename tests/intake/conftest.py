from __future__ import annotations

from pathlib import Path

import pytest

from tests.intake.made_archives import Target


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)
