import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import change_texts
import make_repositories
import neutron_changes
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONTEXT = """\
from neutron_lib.api.definitions import portbindings


class PortContext(MechanismDriverContext, api.PortContext):

    def __init__(self, plugin, port):
        self._port = port

    # The following methods are for use by the ML2 plugin and are not
    # part of the driver API.
"""
MANAGERS = """\
    def create_port_postcommit(self, context):
        self._call_on_drivers("create_port_postcommit", context)
"""


def git(repository, *words):
    done = subprocess.run(["git", f"--git-dir={repository}", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    into = tmp_path_factory.mktemp("repositories")
    return into, make_repositories.make_repositories(into)


def write_sdist(path, files, name="neutron"):
    with tarfile.open(path, "w:gz") as archive:
        for member, text in {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 29.0.0\n", **files}.items():
            info = tarfile.TarInfo(f"neutron-29.0.0/{member}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def sdist(tmp_path):
    files = {
        "neutron/plugins/ml2/driver_context.py": CONTEXT,
        "neutron/plugins/ml2/managers.py": MANAGERS,
        "AUTHORS": "generated",
        "neutron.egg-info/PKG-INFO": "generated",
    }
    return write_sdist(tmp_path / "neutron-29.0.0.tar.gz", files)


def test_the_example_has_its_changes(made):
    into, manifest = made
    repository = into / "networking-example.git"
    refs = dict(line.split()[::-1] for line in git(repository, "show-ref").splitlines())
    assert refs == manifest["networking-example.git"]["refs"]
    changes = [(1, 1), (1, 2), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1)]
    assert set(refs) == {"refs/heads/master", *(f"refs/changes/{n:02d}/{n}/{patchset}" for n, patchset in changes)}
    assert git(repository, "symbolic-ref", "HEAD") == "refs/heads/master"
    assert json.loads((into / "repositories.json").read_text()) == manifest


def test_master_is_the_folder(made):
    listed = git(made[0] / "networking-example.git", "ls-tree", "-r", "--name-only", "master").splitlines()
    root = EXAMPLES / "networking-example"
    assert "setup.cfg" in listed
    assert all((root / name).is_file() for name in listed)
    assert not [name for name in listed if "__pycache__" in name or "egg-info" in name]
    for name in listed:
        assert git(made[0] / "networking-example.git", "show", f"master:{name}") == (root / name).read_text().strip()


def test_messages_have_change_ids_and_patch_sets_share_theirs(made):
    repository = made[0] / "networking-example.git"

    def change_id(ref):
        return re.search(r"^Change-Id: (I[0-9a-f]{40})$", git(repository, "log", "-1", "--format=%b", ref), re.M).group(
            1
        )

    found = {ref: change_id(ref) for ref in made[1]["networking-example.git"]["refs"]}
    assert found["refs/changes/01/1/1"] == found["refs/changes/01/1/2"]
    assert len(set(found.values())) == len(found) - 1


@pytest.mark.parametrize(
    "ref, conflicts", [("01/1/1", False), ("01/1/2", False), ("04/4/1", False), ("05/5/1", True), ("06/6/1", False)]
)
def test_only_change_5_conflicts(made, tmp_path, ref, conflicts):
    work = tmp_path / "work"
    source = str(made[0] / "networking-example.git")
    subprocess.run(["git", "clone", "--quiet", source, str(work)], check=True, timeout=60)
    git(work / ".git", "fetch", "--quiet", "origin", f"refs/changes/{ref}")
    merge = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "merge", "--no-edit", "FETCH_HEAD"]
    merged = subprocess.run(merge, cwd=work, capture_output=True, timeout=60)
    assert (merged.returncode != 0) is conflicts


def test_change_6_touches_documentation_only(made):
    names = git(made[0] / "networking-example.git", "diff", "--name-only", "master", "refs/changes/06/6/1")
    assert names == "README.md"


def test_the_hashes_do_not_depend_on_the_user(made, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n[user]\n\tname = Somebody\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert make_repositories.make_repositories(tmp_path / "again") == made[1]


def test_making_again_replaces_what_is_there(tmp_path):
    into = tmp_path / "repositories"
    first = make_repositories.make_repositories(into)
    git(into / "networking-example.git", "update-ref", "-d", "refs/heads/master")
    assert make_repositories.make_repositories(into) == first
    assert (
        git(into / "networking-example.git", "rev-parse", "master")
        == first["networking-example.git"]["refs"]["refs/heads/master"]
    )
    assert sorted(entry.name for entry in into.iterdir()) == ["networking-example.git", "repositories.json"]


def test_neutron_is_made_from_its_sdist(tmp_path, sdist):
    manifest = make_repositories.make_repositories(tmp_path / "into", sdist)
    repository = tmp_path / "into" / "neutron.git"
    assert manifest["neutron.git"]["version"] == "29.0.0"
    assert set(manifest["neutron.git"]["refs"]) == {"refs/heads/master", "refs/changes/02/2/1", "refs/changes/03/3/1"}
    names = git(repository, "ls-tree", "-r", "--name-only", "master").splitlines()
    assert names == ["neutron/plugins/ml2/driver_context.py", "neutron/plugins/ml2/managers.py"]
    harmful = git(repository, "diff", "master", "refs/changes/03/3/1")
    assert "+                       if key != 'mac_address'}" in harmful
    assert "+                              context.for_drivers())" in harmful


def test_a_neutron_that_looks_different_is_refused_and_nothing_is_changed(tmp_path, made):
    files = {"neutron/plugins/ml2/driver_context.py": CONTEXT, "neutron/plugins/ml2/managers.py": "pass\n"}
    into = tmp_path / "into"
    other = write_sdist(tmp_path / "other.tar.gz", files)
    with pytest.raises(change_texts.TextNotFound, match=r"managers\.py: expected once, found 0 times"):
        make_repositories.make_repositories(into, other)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    "write, problem",
    [
        (lambda path: path.write_bytes(b"no archive"), "cannot be unpacked"),
        (lambda path: write_sdist(path, {}, name="nova"), "the source distribution of nova"),
        (lambda path: tarfile.open(path, "w:gz").close(), "one folder with a file PKG-INFO"),
        (lambda path: None, "No such file"),
    ],
)
def test_something_else_than_neutrons_sdist_is_refused(tmp_path, write, problem):
    write(tmp_path / "file.tar.gz")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "make_repositories.py"), "--into", "into", "--neutron-sdist", "file.tar.gz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "into").iterdir()) == []


def test_an_ambiguous_text_changes_no_file(tmp_path):
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("twice twice")
    edits = [change_texts.Edit("a", "one", "two"), change_texts.Edit("b", "twice", "once")]
    with pytest.raises(change_texts.TextNotFound, match="found 2 times"):
        change_texts.apply_edits(tmp_path, edits)
    assert (tmp_path / "a").read_text() == "one"


def test_edits_can_be_taken_back(tmp_path):
    (tmp_path / "a").write_text("one")
    undo = change_texts.apply_edits(
        tmp_path, [change_texts.Edit("a", "one", "two"), change_texts.Edit("a", "two", "three")]
    )
    assert (tmp_path / "a").read_text() == "three"
    undo()
    assert (tmp_path / "a").read_text() == "one"


def test_the_harmful_neutron_change_is_python(tmp_path, sdist):
    make_repositories.make_repositories(tmp_path / "into", sdist)
    path = neutron_changes.ON_MASTER[1].edits[0].path
    text = git(tmp_path / "into" / "neutron.git", "show", f"refs/changes/03/3/1:{path}")
    compiled = compile(text, path, "exec")
    assert "PortContext" in compiled.co_names
