"""Archives as a node, or somebody who owns one, would make them: real tar and zip files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ci_scripts.intake.limits import Limits
from ci_scripts.intake.take import Taken, take

SMALL = Limits(
    members=100,
    files=20,
    folders=20,
    log_head=1000,
    log_tail=500,
    stream=2000,
    record=1000,
    total=20_000,
    expanded=400_000,
    ratio=20,
    ratio_free=100_000,
    directory=20_000,
    header=4096,
)
NONE = replace(SMALL, seconds=0.0)


def tar_of(path: Path, members: Iterable[tuple[tarfile.TarInfo | str, bytes]], mode: str = "w:gz") -> Path:
    """An archive with these members, one after the other, whatever their names are."""
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_of(path: Path, members: Iterable[tuple[zipfile.ZipInfo | str, bytes]], *, packed: bool = True) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members:
            if isinstance(name, zipfile.ZipInfo) and packed:
                name.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(name, content)
    return path


def folder_of(path: Path, members: Mapping[str, bytes]) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


class Target:
    """A fresh folder that things are taken into, and everything around it that must stay as it is."""

    def __init__(self, root: Path) -> None:
        self.outside = root / "outside"
        self.folder = self.outside / "in" / "target"
        self.folder.mkdir(parents=True)

    def take(self, source: Path, limits: Limits = SMALL) -> Taken:
        """Take from ``source``; nothing but regular files and folders of ours may be there afterwards."""
        taken = take(source, self.folder, limits)
        assert [path for path in self.outside.rglob("*") if self.folder not in (path, *path.parents)] == [
            self.folder.parent
        ]
        for path in self.folder.rglob("*"):
            found = path.lstat()
            assert path.is_dir() or (found.st_mode == 0o100644 and found.st_nlink == 1)
            assert not path.is_symlink()
        return taken

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()
