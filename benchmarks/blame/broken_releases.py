"""A newer release of a package that is broken: made from the installed one, offered beside the package index."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import zipfile
from pathlib import Path

from benchmarks.blame.example_site import EXAMPLES, Edit, users_cache

VERSION = "99.0.0"


def installed_in_cache(distribution: str) -> Path:
    """The folder of a cached environment of OpenStack that holds the distribution as released."""
    for folder in sorted((users_cache() / "environments").glob("*/lib/python3*/site-packages")):
        if list(folder.glob("neutron-*.dist-info")) and list(folder.glob(f"{distribution}-*.dist-info")):
            return folder
    raise FileNotFoundError(f"no cached environment of OpenStack has {distribution}: run a healthy case first")


def make_broken_release(distribution: str, edits: tuple[Edit, ...], folder: Path) -> Path:
    """Write NAME-99.0.0-py3-none-any.whl, with the edits, into ``folder``."""
    packages = installed_in_cache(distribution)
    (old,) = packages.glob(f"{distribution}-*.dist-info")
    new = f"{distribution}-{VERSION}.dist-info"
    files: dict[str, bytes] = {}
    for name, *_ in csv.reader((old / "RECORD").read_text().splitlines()):
        if name.startswith("..") or name.endswith((".pyc", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json")):
            continue
        files[name.replace(old.name, new)] = (packages / name).read_bytes()
    metadata = files[f"{new}/METADATA"].decode()
    files[f"{new}/METADATA"] = re.sub(r"(?m)^Version: .*$", f"Version: {VERSION}", metadata, count=1).encode()
    for edit in edits:
        text = files[edit.path].decode()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.path}: expected once, found {text.count(edit.old)} times: {edit.old!r}")
        files[edit.path] = text.replace(edit.old, edit.new).encode()
    folder.mkdir(parents=True, exist_ok=True)
    return _write_wheel(folder / f"{distribution}-{VERSION}-py3-none-any.whl", files, new)


def unpinned_constraints(distribution: str, target: Path) -> Path:
    """The example's constraints without the pin of one package."""
    name = distribution.replace("_", "-").lower()
    lines = (EXAMPLES / "constraints.txt").read_text().splitlines()
    kept = [line for line in lines if line.partition("==")[0].lower() != name]
    if len(kept) == len(lines):
        raise ValueError(f"constraints.txt pins no {name}")
    target.write_text("\n".join(kept) + "\n")
    return target


def _write_wheel(path: Path, files: dict[str, bytes], info: str) -> Path:
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.writerow((name, f"sha256={digest}", len(content)))
        rows.writerow((f"{info}/RECORD", "", ""))
        wheel.writestr(f"{info}/RECORD", record.getvalue())
    return path
