"""Builds the wheel of a fake driver from its driver.json, without any package (PEP 517).

A file "build" in the folder that BUILD_FAKE_OPENSTACK names makes it wait until the file is gone; it touches
"building" before.
"""

import json
import os
import time
import zipfile
from pathlib import Path


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    control = Path(os.environ["BUILD_FAKE_OPENSTACK"])
    while (control / "build").exists():
        (control / "building").touch()
        time.sleep(0.01)
    driver = json.loads(Path("driver.json").read_text())
    name = f"{driver['name'].replace('-', '_')}-{driver['version']}"
    requires = "".join(f"Requires-Dist: {line}\n" for line in driver["requires"])
    points = "".join(f"{point} = {value}\n" for point, value in driver["entry_points"].items())
    files = {
        "fake_driver.py": Path("fake_driver.py").read_text(),
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {driver['name']}\n"
        f"Version: {driver['version']}\n{requires}",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": f"[neutron.ml2.mechanism_drivers]\n{points}",
    }
    record = f"{name}.dist-info/RECORD"
    wheel = f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(record, "".join(f"{path},,\n" for path in [*files, record]))
    return wheel
