"""The pages as Sphinx builds them: without a warning, without the network, with everything that is made on the way."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.page_blocks import DOCS


def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    html = tmp_path / "html"
    argv = [str(Path(sys.executable).with_name("sphinx-build")), "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*argv, "-d", str(tmp_path / "doctrees"), str(DOCS), str(html)],
        # A proxy that is not there: whoever wants the network fails.
        env={
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "https_proxy": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = {str(path.relative_to(html)): path.read_text(encoding="utf-8") for path in html.rglob("*.html")}
    assert {"index.html", "guide.html", "what-now.html", "stages/run-gate.html", "zuul.html"} <= set(pages)
    # What the directives make.
    assert "timeout_minutes" in pages["ci-yaml.html"] and "--control" in pages["stages/run-gate.html"]
    # Nothing of a page is fetched from elsewhere when it is read.
    for name, text in pages.items():
        assert not re.findall(r'(?:<script[^>]* src|<img[^>]* src|<link[^>]* href)="(?:https?:)?//', text), name
