"""TREE ENVIRONMENT: what "pip install -e" leaves of a tree, by its setup.cfg, without pip and a network."""

import configparser
import sys
from pathlib import Path

tree, environment = Path(sys.argv[1]), Path(sys.argv[2])
setup = configparser.RawConfigParser()
setup.read(tree / "setup.cfg")
name, version = setup.get("metadata", "name"), setup.get("metadata", "version", fallback="1.0")
points = setup["entry_points"] if setup.has_section("entry_points") else setup["options.entry_points"]
packages = next((environment / "lib").glob("python3*/site-packages"))
info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
info.mkdir(exist_ok=True)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
(info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines.strip()}\n" for group, lines in points.items()))
(packages / f"{name}.pth").write_text(f"{tree}\n")
