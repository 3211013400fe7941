# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Make the git repositories that the demonstrations test: what Gerrit would serve, in a folder.

    networking-example.git    from examples/networking-example, always
    neutron.git               from Neutron's source distribution, with --neutron-sdist

Changes wait at the refs Gerrit gives them, refs/changes/<last two digits>/<number>/<patch set>; see
networking_example_changes.py and neutron_changes.py. The repositories are bare and are made anew each time; their
commits have fixed names and dates, so the hashes depend on the contents only. repositories.json beside them says
which ref is which commit. Only the standard library and the git program are needed; the network is not.
"""

import argparse
import email.parser
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import change_texts
import networking_example_changes
import neutron_changes

HERE = Path(__file__).resolve().parent
IDENTITY = {"NAME": "Example Author", "EMAIL": "author@example.org"}
# 2026-01-01 00:00:00 UTC; each commit of a repository is a minute later than the one before.
FIRST_COMMIT = 1767225600
GIT_SECONDS = 300
# What a build or an editor leaves behind, and what pbr generates into a source distribution: in no repository.
NOT_TRACKED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", "build", "dist", ".*_cache", ".git")
GENERATED_BY_PBR = ("PKG-INFO", "AUTHORS", "ChangeLog", "neutron.egg-info")


class CannotMake(Exception):
    """A repository cannot be made; the text says why."""


class Repository:
    """A bare git repository under construction and the one work tree its commits are made from."""

    def __init__(self, path, tree):
        """Make an empty bare repository at `path`; `tree` is the folder that holds the files."""
        self.tree = tree
        self._path = path
        self._commits = 0
        # The user's configuration (signing, hooks, line endings, hash algorithm) must not change the hashes.
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        self._environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "TZ": "UTC", "LC_ALL": "C"}
        self._git("init", "--quiet", "--bare", str(path), with_tree=False)
        self._git("symbolic-ref", "HEAD", "refs/heads/master")

    def commit(self, message, *parents):
        """Commit the work tree as it is; returns the hash. The message gets a Change-Id."""
        self._git("add", "--all", "--force")
        tree = self._git("write-tree")
        when = f"{FIRST_COMMIT + 60 * self._commits} +0000"
        self._commits += 1
        dated = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY.items()}
        dated |= {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        options = [word for parent in parents for word in ("-p", parent)]
        return self._git("commit-tree", tree, *options, environment=dated, text=message)

    def point(self, ref, commit):
        """Create or move a ref."""
        self._git("update-ref", ref, commit)

    def finish(self):
        """Pack everything, check it, and return the hash of each ref."""
        (self._path / "index").unlink(missing_ok=True)
        self._git("repack", "-a", "-d", "--quiet", with_tree=False)
        self._git("fsck", "--strict", "--no-progress", with_tree=False)
        lines = self._git("for-each-ref", "--format=%(refname) %(objectname)", with_tree=False).splitlines()
        return dict(line.split() for line in lines)

    def _git(self, *words, environment=None, text=None, with_tree=True):
        place = [f"--git-dir={self._path}"]
        if with_tree:
            place += [f"--work-tree={self.tree}", "-c", "core.bare=false", "-c", "core.autocrlf=false"]
        try:
            done = subprocess.run(
                ["git", *(place if words[0] != "init" else []), *words],
                cwd=self.tree,
                env={**self._environment, **(environment or {})},
                input=text or "",
                capture_output=True,
                text=True,
                timeout=GIT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotMake(f"git {words[0]}: {error}") from error
        if done.returncode:
            raise CannotMake(f"git {words[0]} failed with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()


def _with_change_id(message, number):
    digest = hashlib.sha1(f"{message.splitlines()[0]} {number}".encode(), usedforsecurity=False).hexdigest()
    return f"{message.rstrip()}\n\nChange-Id: I{digest}\n"


def _add_changes(repository, changes, bases):
    """Make a commit of each change on the base it names and point its ref to it."""
    for change in changes:
        undo = change_texts.apply_edits(repository.tree, change.edits)
        # All patch sets of a change have one Change-Id, whatever their first line is.
        message = _with_change_id(change.message, change.number)
        commit = repository.commit(message, bases[change.base])
        repository.point(f"refs/changes/{change.number % 100:02d}/{change.number}/{change.patchset}", commit)
        undo()


def make_networking_example(path, scratch):
    """Make networking-example.git at `path`; returns the hash of each ref."""
    tree = scratch / "networking-example"
    shutil.copytree(HERE / "networking-example", tree, ignore=NOT_TRACKED)
    repository = Repository(path, tree)
    undo = change_texts.apply_edits(tree, networking_example_changes.BEFORE_THE_NEWEST_COMMIT)
    first = repository.commit(_with_change_id("Mirror networks, subnets and ports to a controller", 0))
    _add_changes(repository, networking_example_changes.ON_THE_FIRST_COMMIT, {"first": first})
    undo()
    tip = repository.commit(_with_change_id(networking_example_changes.NEWEST_COMMIT, 0), first)
    repository.point("refs/heads/master", tip)
    _add_changes(repository, networking_example_changes.ON_MASTER, {"master": tip})
    return repository.finish()


def _extract(sdist, scratch):
    folder = scratch / "sdist"
    folder.mkdir()
    try:
        with tarfile.open(sdist) as archive:
            # Python 3.11.0 to 3.11.3 have no filters.
            archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    except (OSError, tarfile.TarError) as error:
        raise CannotMake(f"{sdist} cannot be unpacked: {error}") from error
    inside = list(folder.iterdir())
    if len(inside) != 1 or not (inside[0] / "PKG-INFO").is_file():
        raise CannotMake(f"{sdist} is no source distribution: it must hold one folder with a file PKG-INFO")
    metadata = email.parser.HeaderParser().parsestr((inside[0] / "PKG-INFO").read_text(encoding="utf-8"))
    if metadata["Name"] != "neutron" or not metadata["Version"]:
        raise CannotMake(f"{sdist} is the source distribution of {metadata['Name']}, not of neutron")
    return inside[0], metadata["Version"]


def make_neutron(path, scratch, sdist):
    """Make neutron.git at `path` from Neutron's sdist; returns its version and the hash of each ref."""
    tree, version = _extract(sdist, scratch)
    for name in GENERATED_BY_PBR:
        found = tree / name
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink(missing_ok=True)
    repository = Repository(path, tree)
    tip = repository.commit(_with_change_id(f"Neutron {version}", 0))
    repository.point("refs/heads/master", tip)
    _add_changes(repository, neutron_changes.ON_MASTER, {"master": tip})
    return version, repository.finish()


def _put_in_place(new, old):
    """Rename `new` to `old`, which may exist; a reader sees the whole old or the whole new one."""
    if old.exists():
        retired = Path(tempfile.mkdtemp(prefix=f".{old.name}-", dir=old.parent)) / "retired"
        os.rename(old, retired)
        os.rename(new, old)
        shutil.rmtree(retired.parent)
    else:
        os.rename(new, old)


def make_repositories(into, neutron_sdist=None):
    """Make the repositories in the folder `into`; returns what is written to repositories.json.

    :raises CannotMake: nothing in `into` was changed.
    """
    into.mkdir(parents=True, exist_ok=True)
    manifest = {}
    with tempfile.TemporaryDirectory(prefix=".making-", dir=into) as folder:
        scratch = Path(folder)
        refs = make_networking_example(scratch / "networking-example.git", scratch)
        manifest["networking-example.git"] = {"refs": refs}
        if neutron_sdist is not None:
            version, refs = make_neutron(scratch / "neutron.git", scratch, neutron_sdist)
            manifest["neutron.git"] = {"version": version, "refs": refs}
        for name in manifest:
            _put_in_place(scratch / name, into / name)
        listing = scratch / "repositories.json"
        listing.write_text(json.dumps(manifest, indent=2) + "\n")
        os.replace(listing, into / "repositories.json")
    return manifest


def main():
    """Returns the exit code: 0 made, 1 not."""
    parser = argparse.ArgumentParser(description="Make the git repositories of the demonstrations.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="folder the repositories are made in")
    parser.add_argument("--neutron-sdist", type=Path, metavar="FILE", help="Neutron's .tar.gz: also make neutron.git")
    arguments = parser.parse_args()
    try:
        manifest = make_repositories(arguments.into.resolve(), arguments.neutron_sdist)
    except (CannotMake, change_texts.TextNotFound, OSError) as error:
        print(f"cannot make the repositories: {error}", file=sys.stderr)
        return 1
    for name, entry in manifest.items():
        print(f"{arguments.into / name}" + (f" (version {entry['version']})" if "version" in entry else ""))
        for ref, commit in entry["refs"].items():
            print(f"    {commit[:12]} {ref}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
