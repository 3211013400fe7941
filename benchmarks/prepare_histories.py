"""Projects with long histories, made by `git fast-import`: for benchmarks/prepare.py."""

import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

SECONDS = 1800
WORDS = ("network", "port", "subnet", "agent", "driver", "return", "self", "context", "binding", "if", "not", "raise")
# Files of the first folder are short, and the ones that commits touch.
IN_A_FOLDER = 50
SHORT = 20
LIGHT = 300
LONG = 200
BEGINNING = 1600000000
LONGEST_HISTORY = 10_000_000
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(
    folder: Path,
    *arguments: str,
    stream: Iterator[bytes] | None = None,
    environment: Mapping[str, str] = MappingProxyType(ENVIRONMENT),
) -> str:
    """Run git; its output."""
    argv = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *arguments]
    with subprocess.Popen(
        argv, cwd=folder, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for piece in stream or ():
            process.stdin.write(piece)
        process.stdin.close()
        output = process.stdout.read().decode()
        if process.wait(SECONDS) != 0:
            raise SystemExit(f"git {' '.join(arguments)} in {folder} failed: {output[-500:]}")
    return output.strip()


def make_project(folder: Path, files: int, commits: int, weight: int = LIGHT) -> None:
    """A bare repository: so many files on master, and so many commits that touch one of them each.

    ``weight`` is what a commit adds to the packed history, in bytes (about).
    """
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=master", ".")
    git(folder, "fast-import", "--quiet", "--done", stream=_history(files, commits, weight))


def advance(folder: Path, commits: int, seed: int) -> None:
    """More commits on master; the ``seed`` of a later call is larger by the number of commits at least."""
    start = b"from refs/heads/master^0\n"
    git(
        folder,
        "fast-import",
        "--quiet",
        "--done",
        stream=_more(commits, LONGEST_HISTORY + seed, "refs/heads/master", start),
    )


def propose(folder: Path, ref: str) -> str:
    """A change on top of master that adds a file; its commit."""
    head = f"commit {ref}\ncommitter B <b@example.org> 1700000000 +0000\ndata 2\nX\n".encode()
    body = b"from refs/heads/master^0\nM 100644 inline proposed.py\ndata 2\nx\n\ndone\n"
    git(folder, "fast-import", "--quiet", "--done", "--force", stream=iter((head, body)))
    return git(folder, "rev-parse", ref)


def _history(files: int, commits: int, weight: int) -> Iterator[bytes]:
    numbers = random.Random(files)
    yield f"commit refs/heads/master\ncommitter B <b@example.org> {BEGINNING} +0000\ndata 5\nStart\n".encode()
    for number in range(files):
        folder = number // IN_A_FOLDER
        lines = numbers.randrange(LONG // 2, LONG * 2) if folder else SHORT
        yield _file(f"d{folder:03}/f{number % IN_A_FOLDER:02}.py", _text(numbers, lines))
    yield b"\n"
    yield from _more(commits, files + 1, "refs/heads/master", b"", weight)


def _more(commits: int, seed: int, ref: str, start: bytes, weight: int = LIGHT) -> Iterator[bytes]:
    numbers = random.Random(seed)
    # git walks by date: a commit that is older than its parent makes every walk go through the whole history.
    first = BEGINNING + (seed if start else 0)
    for number in range(commits):
        message = f"Change {seed} {number}\n".encode()
        head = f"commit {ref}\ncommitter B <b@example.org> {first + number} +0000\ndata {len(message)}\n"
        touched = _file(f"d000/f{numbers.randrange(IN_A_FOLDER):02}.py", _noise(numbers, weight))
        yield head.encode() + message + (start if number == 0 else b"") + touched + b"\n"
    yield b"done\n"


def _file(name: str, text: bytes) -> bytes:
    return f"M 100644 inline {name}\ndata {len(text)}\n".encode() + text + b"\n"


def _noise(numbers: random.Random, weight: int) -> bytes:
    """Lines that cannot be packed into much less than ``weight`` bytes."""
    noise = numbers.randbytes(weight).hex(" ", 32).replace(" ", "\n")
    return f"{noise}\n".encode()


def _text(numbers: random.Random, lines: int) -> bytes:
    return b"".join(b"    %s %x\n" % (numbers.choice(WORDS).encode(), numbers.getrandbits(60)) for _ in range(lines))
