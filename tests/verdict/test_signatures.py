"""Our signatures, each with lines it must match and lines it must not; and an operator's own files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_scripts.errors import ConfigurationError
from ci_scripts.verdict import signatures as module
from ci_scripts.verdict.line_patterns import LinePatterns, pattern_problem
from ci_scripts.verdict.log_scan import scan_logs
from ci_scripts.verdict.signatures import OURS, Signature, load_signatures

SIGNATURES = {signature.id: signature for signature in load_signatures()}
SAMPLES: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("signature_samples.yaml").read_text())
WRITTEN: list[dict[str, Any]] = yaml.safe_load(OURS.read_text())["signatures"]
REAL = Path(os.environ.get("CI_SAMPLES", Path(__file__).parents[3] / "shared" / "samples")) / "console"
OWN = """
signatures:
- id: switch-rebooted
  pattern: 'switch [a-z0-9.]+ is rebooting'
  where: logs/gate/**
  blame: ci
  meaning: The lab's switch was restarted.
  what_to_do: Wait five minutes.
"""


def lines_of(name: str, kind: str) -> list[str]:
    return [line for line in SAMPLES[name][kind].splitlines() if line.strip()]


def parts_of(entry: dict[str, Any]) -> list[str]:
    return entry["pattern"] if isinstance(entry["pattern"], list) else [entry["pattern"]]


def matched(pattern: str, lines: list[str]) -> list[str]:
    patterns = LinePatterns([pattern])
    return [line for line in lines if patterns.in_line(line.encode())]


def test_every_signature_has_sample_lines() -> None:
    assert set(SAMPLES) == set(SIGNATURES) and len(SIGNATURES) >= 20
    assert all(lines_of(name, kind) for name in SAMPLES for kind in ("matches", "others"))


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_matches_its_lines_and_not_those_that_look_like_it(name: str) -> None:
    pattern = SIGNATURES[name].pattern

    assert matched(pattern, lines_of(name, "matches")) == lines_of(name, "matches")
    assert matched(pattern, lines_of(name, "others")) == []


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry["id"])
def test_every_part_of_a_pattern_has_a_line(entry: dict[str, Any]) -> None:
    lines = lines_of(entry["id"], "matches")

    assert [part for part in parts_of(entry) if not matched(part, lines)] == []


def test_grep_and_python_read_our_patterns_as_we_do(tmp_path: Path) -> None:
    """A person tries a pattern with grep -E; the benchmark compares with it."""
    every = [line for name in SAMPLES for kind in ("matches", "others") for line in lines_of(name, kind)]
    (tmp_path / "lines").write_text("\n".join(every) + "\n")
    for signature in SIGNATURES.values():
        argv = ["grep", "-a", "-E", "-e", signature.pattern, str(tmp_path / "lines")]
        done = subprocess.run(argv, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, capture_output=True, check=False)
        ours = matched(signature.pattern, every)

        assert done.stdout.decode().splitlines() == ours and done.stderr == b""
        assert [line for line in every if re.search(signature.pattern, line)] == ours


def test_our_signatures_tell_a_person_what_to_do() -> None:
    for signature in SIGNATURES.values():
        assert signature.blame in ("ci", "unknown")
        assert signature.meaning.endswith(".") and len(signature.meaning) <= 160
        assert signature.what_to_do.endswith(".") and len(signature.what_to_do) <= 160
        assert all(glob.startswith("logs/") for glob in signature.where)


def test_what_a_change_can_do_itself_is_not_the_ci_s_alone() -> None:
    """A change can kill the controller, leak memory, hold a transaction, or name a host that is not there."""
    names = [name for name in SIGNATURES if name.startswith(("controller-", "memory-", "out-of-memory", "job-timed"))]
    names += [name for name in SIGNATURES if name.endswith("-in-service")]
    names += ["database-locked", "database-lock-wait", "database-connection-lost", "open-files-limit", "package-yanked"]

    assert {SIGNATURES[name].blame for name in names} == {"unknown"}


TRACEBACK = """\
2026-11-23 11:11:50.319 28772 ERROR neutron.plugins.ml2.managers [None req-1 7 9 - - default default] Mechanism driver \
'example' failed in create_port_postcommit: AttributeError: 'NoneType' object has no attribute 'get'
2026-11-23 11:11:50.319 28772 ERROR neutron.plugins.ml2.managers Traceback (most recent call last):
2026-11-23 11:11:50.319 28772 ERROR neutron.plugins.ml2.managers   File "/x/networking_example/client.py", line 8
2026-11-23 11:11:50.319 28772 ERROR neutron.plugins.ml2.managers     raise ControllerUnreachable(url, "refused")
2026-11-23 11:11:50.320 28772 ERROR neutron.plugins.ml2.managers KeyError: 'timed out'
2026-11-23 11:11:50.321 28772 ERROR neutron.plugins.ml2.managers sqlalchemy.exc.IntegrityError: UNIQUE constraint failed
2026-11-23 11:11:50.322 28772 ERROR neutron.plugins.ml2.plugin ImportError: cannot import name 'x' from 'neutron.db'
ModuleNotFoundError: No module named 'networking_example.typo'
SyntaxError: invalid syntax (mechanism_driver.py, line 12)
testtools.matchers._impl.MismatchError: 'ACTIVE' != 'DOWN'
tempest.lib.exceptions.ServerFault: Got server fault. Details: Request Failed: internal server error
ERROR: Could not find a version that satisfies the requirement oslo.typo>=1 (from versions: none)
error: No solution found when resolving dependencies
"""


def test_what_a_change_s_own_mistakes_say_is_no_signature() -> None:
    found = {name: matched(signature.pattern, TRACEBACK.splitlines()) for name, signature in SIGNATURES.items()}

    assert not any(found.values())


@pytest.mark.skipif(not (REAL / "labels.tsv").exists(), reason="CI_SAMPLES names no folder of samples")
def test_real_consoles_are_told_apart(tmp_path: Path) -> None:
    rows = [line.split("\t") for line in (REAL / "labels.tsv").read_text().splitlines()[1:]]
    for name, label, _ in rows:
        root = tmp_path / name
        (root / "logs").mkdir(parents=True)
        (root / "logs" / "console.log").write_bytes((REAL / name).read_bytes())
        blames = {hit.blame for hit in scan_logs(root, tuple(SIGNATURES.values())).hits}

        assert "ci" in blames if label.startswith("infra") else not blames, name


def test_an_operator_s_signatures_come_after_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(OWN)
    loaded = load_signatures([own])

    assert loaded[:-1] == load_signatures()
    assert loaded[-1] == Signature(
        "switch-rebooted",
        "switch [a-z0-9.]+ is rebooting",
        ("logs/gate/**",),
        "ci",
        "The lab's switch was restarted.",
        "Wait five minutes.",
    )


def test_a_list_of_patterns_means_any_of_them(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(OWN.replace("'switch [a-z0-9.]+ is rebooting'", "['a|b', '(?i)switch', '^c$']"))
    pattern = load_signatures([own])[-1].pattern

    assert matched(pattern, ["xb", "SWITCH", "c", "cd", "A"]) == ["xb", "SWITCH", "c"]


WRONG = [
    ("signatures: [", "1: YAML syntax"),
    ("- a", "1: the file must hold the key 'signatures'"),
    ("", "1: the file must hold the key 'signatures'"),
    (OWN + "more: 1\n", "9: more: unknown key"),
    (OWN.replace("blame:", "blam:"), "signatures[0].blam: unknown key; did you mean 'blame'?"),
    (OWN.replace("blame: ci", ""), "3: signatures[0]: missing: blame"),
    (OWN.replace("blame: ci", "blame: change"), "signatures[0].blame: must be ci or unknown"),
    (OWN.replace("  blame: ci\n", "  blame: ci\n  blame: ci\n"), "7: signatures[0].blame: duplicate key"),
    (OWN.replace("switch-rebooted", "Switch Rebooted"), "3: signatures[0].id: must be lower case"),
    (
        OWN.replace("switch-rebooted", "disk-full"),
        "3: signatures[0].id: 'disk-full' is already given in signatures.yaml:",
    ),
    (OWN.replace("[a-z0-9.]+", "("), "4: signatures[0].pattern: is no RE2: missing )"),
    (OWN.replace("[a-z0-9.]+", "(?=x)"), "4: signatures[0].pattern: uses a flag"),
    (OWN.replace("'switch [a-z0-9.]+ is rebooting'", "'x*'"), "pattern: matches an empty line"),
    (OWN.replace("'switch [a-z0-9.]+ is rebooting'", "[12]"), "pattern[0]: must be text; put it in quotes"),
    (OWN.replace("'switch [a-z0-9.]+ is rebooting'", "[]"), "pattern: must be text or a list of texts"),
    (OWN.replace("logs/gate/**", "stages/*.json"), "5: signatures[0].where: must start with logs/"),
    (OWN.replace("logs/gate/**", "logs/../x"), "5: signatures[0].where: must start with logs/"),
    (OWN.replace("Wait five minutes.", "''"), "8: signatures[0].what_to_do: must be text"),
    ("signatures: [x]", "1: signatures[0]: must be keys with values"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load_signatures([own])

    assert expected in str(raised.value) and f"{own}:" in str(raised.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(OWN.replace("blame: ci", "blame: me").replace("where:", "were:"))
    with pytest.raises(ConfigurationError) as raised:
        load_signatures([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    text = str(raised.value)

    assert (
        text.count("must be ci or unknown") == text.count("did you mean 'where'?") == text.count("missing: where") == 2
    )
    assert text.count("is already given in a.yaml:3") == 1 and "7 problems:" in text


@pytest.mark.parametrize("content", [None, b"\xff", b"x" * (module.LARGEST_FILE + 1)])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    own = tmp_path / "own.yaml"
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"own\.yaml"):
        load_signatures([own])


@pytest.mark.parametrize(
    "pattern", [r"\Ax", r"x\z", r"\Cx", r"\Qx", "a\nb", "ü", "(?s)x", "(?P<n>x)", "(?-m:^x)", "", "^", "x|"]
)
def test_patterns_that_would_not_mean_one_line_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern)


@pytest.mark.parametrize("pattern", [r"\\A", r"\(?x", "(?:x)", "(?i)x", "x$", r"\bx\b", "[[:space:]]x"])
def test_other_patterns_are_taken(pattern: str) -> None:
    assert pattern_problem(pattern) is None


def test_patterns_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "signatures:" + "".join(OWN.split("signatures:")[1].replace("rebooted", f"x{n}") for n in range(300))
    )
    assert len(load_signatures([own])) == len(SIGNATURES) + 300
    monkeypatch.setattr("ci_scripts.verdict.line_patterns.MAX_MEMORY", 200_000)

    with pytest.raises(ConfigurationError, match="too large together"):
        load_signatures([own])


@pytest.mark.parametrize(
    ("glob", "fits", "others"),
    [
        ("logs/*.log", ["logs/a.log", "logs/a.log.gz"], ["logs/a/b.log", "logs/a.txt", "xlogs/a.log", "logs/a.log/x"]),
        ("logs/**", ["logs/a", "logs/a/b/c.gz"], ["logs", "log/a"]),
        ("logs/**/n?.log", ["logs/n1.log", "logs/a/b/n2.log"], ["logs/n.log", "logs/a/n12.log", "logs/an1.log"]),
        ("logs/a[1].log", ["logs/a[1].log"], ["logs/a1.log"]),
    ],
)
def test_where_to_look(glob: str, fits: list[str], others: list[str]) -> None:
    signature = Signature("x", "x", (glob,), "ci", "m", "w")

    assert [path for path in (*fits, *others) if signature.looks_at(path)] == fits
