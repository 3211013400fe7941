"""Who the services run as, where no root is needed to say so."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ci_scripts.gates.local.unprivileged import choose_user


def test_a_user_without_an_entry_in_passwd_is_told_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3999999)
    assert choose_user("nobody", Path(sys.executable), [tmp_path], {}) == (None, "services run as user 3999999")
