"""Write tests/golden_jobs/ anew from jenkins-jobs/: python tests/jenkins_jobs/renew.py

To be called by a person who has changed a definition, and who reads the difference before it is committed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.jenkins_jobs.rendering import GOLDEN, PROJECTS, render


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for case, project in PROJECTS.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, text in render(project, Path(folder)).items():
                path = GOLDEN / case / f"{name}.xml"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    print(f"{len(list(GOLDEN.glob('*/*.xml')))} jobs in tests/golden_jobs; see git diff.")


if __name__ == "__main__":
    main()
