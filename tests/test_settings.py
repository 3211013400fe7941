from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ci_scripts import settings as settings_module
from ci_scripts.errors import ConfigurationError
from ci_scripts.settings import (
    command_environment,
    json_schema,
    load_settings,
    secret_values,
    settings_with_origins,
    stage_environment,
)

SMALL = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver:
  project: example/networking-example
  source: https://git.example.org/networking-example
"""
ENVIRONMENT = {"HOME": "/home/jenkins", "PATH": "/usr/bin"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ci.yaml"
    path.write_text(SMALL)
    return path


def load(config: Path, more: str = "", **flags: object) -> Any:
    config.write_text(SMALL + more)
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(config, flags=named, environment=ENVIRONMENT)


def problems(config: Path, text: str) -> list[str]:
    config.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, environment=ENVIRONMENT)
    lines = caught.value.what.splitlines()
    return [line.strip().replace(str(config), "ci.yaml") for line in (lines[1:] or lines)]


def test_a_small_file_gets_the_defaults(config: Path) -> None:
    settings = load(config)
    assert (settings.gate.kind, settings.gate.shards, settings.gate.database) == ("local", "auto", "sqlite")
    assert (settings.gate.timeout_minutes, settings.gate.hang_seconds, settings.gate.user) == (120, 60, "nobody")
    assert settings.tempest.packages == ("tempest",)
    assert settings.tempest_timeout_seconds == 7200
    assert settings.cache_dir == Path("/home/jenkins/.cache/openstack-driver-ci")
    assert settings.config_path == config


def test_the_design_s_example_is_accepted(config: Path) -> None:
    (config.parent / "constraints.txt").write_text("")
    (config.parent / "skip.txt").write_text("")
    settings = load(
        config,
        """\
  ref: master
  neutron_config:
    ml2_conf.ini: {ml2: {mechanism_drivers: "logger,example"}, ml2_example: {url: "{service.controller.url}"}}
gate: {kind: local, timeout_minutes: 120, shards: auto, database: sqlite, constraints: constraints.txt}
projects:
  openstack/neutron: {branch: master, patches: [], irrelevant_files: ['^doc/', '\\.rst$']}
branches:
  stable/2026.1: {constraints: https://example.org/upper-constraints.txt, driver_ref: stable/2026.1}
services: [{name: controller, command: [python, -m, controller, 8080], ready_url: "{service.controller.url}/health"}]
probes:   [{name: controller, url: "{service.controller.url}/health"}]
checks:   [{name: controller-holds-what-neutron-holds, command: ["{python}", check.py]}]
tempest:  {regex: '^tempest\\.api\\.network', exclude_list: skip.txt, concurrency: auto, config: {a: {b: 1}}}
""",
    )
    assert settings.gate.constraints == str(config.parent / "constraints.txt")
    assert settings.branches["stable/2026.1"].constraints == "https://example.org/upper-constraints.txt"
    assert settings.projects["openstack/neutron"].irrelevant_files == ("^doc/", r"\.rst$")
    assert settings.services[0].command == ("python", "-m", "controller", "8080")
    assert settings.tempest.exclude_list == config.parent / "skip.txt"
    assert settings.tempest.config == {"a": {"b": "1"}}
    assert "service.controller.url" in settings.placeholder_names()


def test_settings_are_frozen(config: Path) -> None:
    settings = load(config)
    with pytest.raises(ValueError, match="frozen"):
        settings.gate.shards = 2


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file(config: Path) -> None:
    text = """\
name: Example Networks
gate: {shrads: 2, timeout_minutes: soon, hang_seconds: true}
gate: {}
shards: 2
ballots: {mode: full}
driver:
  project: ../x
  ref: --upload-pack=x
  neutron_config: {ml2_conf.ini: {ml2: {mechanism_drivers: "{service.controler.url}"}}}
services:
  - {name: controller, command: [python], per_shard: yes}
  - {name: controller, command: []}
probes: [{name: Bad Name, tcp: y}, {name: b}]
tempest: {regex: '(', exclude_list: nofile, concurrency: 0, packages: tempest}
projects: {openstack/neutron: {branch: 2026.1, irrelevant_files: ['[']}}
"""
    found = problems(config, text)
    expected = [
        "ci.yaml:1: name: must end in ' CI'",
        "ci.yaml:1: wiki: missing",
        "ci.yaml:2: gate.shrads: unknown key; did you mean 'shards'?",
        "ci.yaml:2: gate.timeout_minutes: must be a whole number, not 'soon'",
        "ci.yaml:2: gate.hang_seconds: must be a whole number, not true",
        "ci.yaml:3: gate: duplicate key; it is already given in line 2",
        "ci.yaml:4: shards: unknown key; 'shards' belongs under 'gate'",
        "ci.yaml:5: ballots: unknown key; known are: name,",
        "ci.yaml:7: driver.project: contains '..'",
        "ci.yaml:8: driver.ref: starts with a dash",
        "ci.yaml:9: driver.neutron_config.ml2_conf.ini.ml2.mechanism_drivers: unknown placeholder",
        "ci.yaml:11: services[0].per_shard: must be true or false, not 'yes'",
        "ci.yaml:12: services[1].name: duplicate name 'controller'",
        "ci.yaml:12: services[1].command: must not be empty",
        "ci.yaml:13: probes[0].name: must be lower-case letters",
        "ci.yaml:13: probes[0].tcp: must be host:port",
        "ci.yaml:13: probes[1]: needs exactly one of",
        "ci.yaml:14: tempest.regex: is not a regular expression",
        "ci.yaml:14: tempest.exclude_list: there is no file",
        "ci.yaml:14: tempest.concurrency: must be 'auto' or a whole number",
        "ci.yaml:14: tempest.packages: must be a list, not 'tempest'",
        "ci.yaml:15: projects.openstack/neutron.irrelevant_files[0]: is not a regular expression",
    ]
    for beginning in expected:
        assert any(line.startswith(beginning) for line in found), (beginning, found)
    assert len(found) == len(expected)
    numbers = [int(line.split(":")[1]) for line in found]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("more", "beginning"),
    [
        ("gate: []\n", "ci.yaml:6: gate: must be keys with values, not a list"),
        ("gate: {kind: devstck}\n", "ci.yaml:6: gate.kind: must be 'local', 'devstack' or 'devstack-gate', not"),
        ("gate: {shards: true}\n", "ci.yaml:6: gate.shards: must be 'auto' or a whole number of at least 1, not True"),
        ("gate: {shards: 1.5}\n", "ci.yaml:6: gate.shards: must be 'auto'"),
        ("gate: {hang_seconds: 0}\n", "ci.yaml:6: gate.hang_seconds: must be at least 1, not 0"),
        ("gate: {database: postgresql://x}\n", "ci.yaml:6: gate.database: must be sqlite or mysql"),
        ("gate: {constraints: none.txt}\n", "ci.yaml:6: gate.constraints: there is no file"),
        ("  package: networking-example\n", "ci.yaml:3: driver: needs either 'source'"),
        ("  package: --index-url=x\n", "ci.yaml:6: driver.package: must be the name of a package"),
        ("projects: {a/b: {url: 'ext::sh -c id'}}\n", "ci.yaml:6: projects.a/b.url: names a git remote helper"),
        ("projects: {a/b: {url: git@host:a/b}}\n", "ci.yaml:6: projects.a/b.url: is not a https"),
        ("projects: {a/b: {patches: [none.patch]}}\n", "ci.yaml:6: projects.a/b.patches[0]: there is no file"),
        ("projects: {-x: {}}\n", "ci.yaml:6: projects.-x: starts with a dash"),
        ("branches: {a..b: {}}\n", "ci.yaml:6: branches.a..b: contains '..'"),
        ("services: [{name: a}]\n", "ci.yaml:6: services[0].command: missing"),
        ("services: [{name: a, command: [x], url: x}]\n", "ci.yaml:6: services[0].url: must be a http"),
        ("checks:\n  - name: a\n    command: 'x y'\n", "ci.yaml:8: checks[0].command: must be a list, not 'x y'"),
        ("secrets: [{name: a}]\n", "ci.yaml:6: secrets[0]: needs either 'file' or 'environment'"),
        ("secrets: [{name: a, environment: '1 x'}]\n", "ci.yaml:6: secrets[0].environment: must be the name of"),
        ('checks: [{name: a, command: ["{secret.b}"]}]\n', "ci.yaml:6: checks[0].command[0]: unknown placeholder"),
        ("a: [\n", "ci.yaml:6: YAML syntax"),
        ("tempest: !!python/name:os.system\n", "ci.yaml:6: tempest: unknown tag"),
        ("config_path: x\n", "ci.yaml:6: config_path: unknown key"),
        ("_config_path: x\n", "ci.yaml:6: _config_path: unknown key"),
    ],
)
def test_one_problem_is_one_line(config: Path, more: str, beginning: str) -> None:
    found = problems(config, SMALL + more)
    assert len(found) == 1
    assert found[0].startswith(beginning), found


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"", "the file is empty"), (b"- a\n", "must hold keys with values"), (b"a: 1\nb: \xff\n", ":2: not UTF-8")],
)
def test_a_file_that_is_no_configuration(config: Path, raw: bytes, words: str) -> None:
    config.write_bytes(raw)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, environment=ENVIRONMENT)
    assert words in str(caught.value)
    assert caught.value.next_step


def test_a_file_that_is_not_there_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path / "none.yaml", environment=ENVIRONMENT)
    assert f"{tmp_path / 'none.yaml'} cannot be read: No such file" in str(caught.value)
    assert "--config" in caught.value.next_step
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load_settings(tmp_path, environment=ENVIRONMENT)


def test_the_file_may_be_named_by_a_variable(config: Path) -> None:
    settings = load_settings(None, environment={**ENVIRONMENT, "CI_CONFIG": str(config)})
    assert settings.config_path == config


def test_flags_go_before_the_environment_which_goes_before_the_file(config: Path) -> None:
    config.write_text(SMALL + "gate:\n  shards: 1\n  hang_seconds: 5\n  timeout_minutes: 7\n")
    environment = {**ENVIRONMENT, "CI_GATE_SHARDS": "2", "CI_GATE_HANG_SECONDS": "6", "CI_TEMPEST_REGEX": ""}
    flags = {"gate.shards": "3", "tempest.concurrency": None, "tempest.exclude_list": config}
    settings = load_settings(config, flags=flags, environment=environment)
    assert (settings.gate.shards, settings.gate.hang_seconds, settings.gate.timeout_minutes) == (3, 6, 7)
    assert settings.tempest.concurrency == "auto"
    assert settings.tempest.regex == r"^tempest\.api\.network"
    rows = {row.path: row for row in settings_with_origins(config, flags=flags, environment=environment)}
    assert rows["gate.shards"] == ("gate.shards", "3", "--shards")
    assert rows["gate.hang_seconds"].origin == "CI_GATE_HANG_SECONDS"
    assert rows["gate.timeout_minutes"].origin == f"{config}:9"
    assert rows["tempest.exclude_list"].origin == "--exclude-list"
    assert rows["gate.user"] == ("gate.user", "nobody", "default")


def test_values_of_variables_have_the_type_of_their_key(config: Path) -> None:
    environment = {
        **ENVIRONMENT,
        "CI_GATE_PACKAGES": "[python-memcached, 'uwsgi>=2,<3']",
        "CI_GATE_USER": "null",
        "CI_GATE_PYTHON": "3.10",
        "CI_DRIVER_REF": "1234567",
        "CI_CACHE_DIR": "/srv/cache",
    }
    settings = load_settings(config, environment=environment)
    assert settings.gate.packages == ("python-memcached", "uwsgi>=2,<3")
    assert settings.gate.user is None
    assert (settings.gate.python, settings.driver.ref) == ("3.10", "1234567")
    assert settings.cache_dir == Path("/srv/cache")


def test_what_is_wrong_with_a_flag_or_a_variable_names_it(config: Path) -> None:
    environment = {**ENVIRONMENT, "CI_GATE_HANG_SECONDS": "x", "CI_GATE_SHRADS": "2", "CI_GATE_NOTHING_LIKE_IT": "1"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, flags={"gate.shards": 0}, environment=environment)
    lines = [line.strip() for line in caught.value.what.splitlines()[1:]]
    assert lines == [
        "CI_GATE_SHRADS: unknown variable; did you mean CI_GATE_SHARDS?",
        "--shards: gate.shards: must be 'auto' or a whole number of at least 1, not 0",
        "CI_GATE_HANG_SECONDS: gate.hang_seconds: must be a whole number, not 'x'.",
    ]


def test_a_flag_that_is_no_key_is_a_mistake_of_ours(config: Path) -> None:
    with pytest.raises(KeyError):
        load_settings(config, flags={"gate.nothing": 1}, environment=ENVIRONMENT)


def test_relative_paths_belong_to_the_folder_of_the_file(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "skip.txt").write_text("")
    monkeypatch.chdir(elsewhere)
    text = SMALL.replace("https://git.example.org/networking-example", "../driver")
    config.write_text(text + "cache_dir: cache\nprojects: {a/b: {url: repositories/b}}\n")
    settings = load_settings(config, flags={"tempest.exclude_list": Path("skip.txt")}, environment=ENVIRONMENT)
    assert settings.driver.source == str(tmp_path.parent / "driver")
    assert settings.projects["a/b"].url == str(tmp_path / "repositories/b")
    assert settings.cache_dir == tmp_path / "cache"
    assert settings.tempest.exclude_list == elsewhere / "skip.txt"


def test_option_values_stay_as_they_are_written(config: Path) -> None:
    settings = load(config, "tempest: {config: {a: {b: 3.10, c: yes, d: true, e: 0755, f: 12:30, g: 8}}}\n")
    written = {"b": "3.10", "c": "yes", "d": "True", "e": "0755", "f": "12:30", "g": "8"}
    assert settings.tempest.config["a"] == written


def test_secrets_come_from_a_file_or_a_variable(config: Path) -> None:
    (config.parent / "password").write_text("s3cret\n")
    settings = load(config, "secrets: [{name: one, file: password}, {name: two, environment: LAB_PASSWORD}]\n")
    assert secret_values(settings, {"LAB_PASSWORD": "x y"}) == {"one": "s3cret", "two": "x y"}
    (config.parent / "password").write_text("\n")
    with pytest.raises(ConfigurationError) as caught:
        secret_values(settings, {})
    assert "'one'" in str(caught.value)
    assert "variable LAB_PASSWORD is missing or empty" in str(caught.value)


def test_shown_settings_hold_no_secret(config: Path) -> None:
    config.write_text(
        SMALL
        + """\
  neutron_config: {a.ini: {b: {password: hunter2, admin_token: hunter2, user_secret: "{secret.lab}"}}}
gate: {database: "mysql+pymysql://root:hunter2@127.0.0.1/"}
secrets: [{name: lab, environment: LAB_PASSWORD}]
"""
    )
    environment = {**ENVIRONMENT, "LAB_PASSWORD": "hunter2"}
    rows = settings_with_origins(config, environment=environment)
    assert not any("hunter2" in row.value for row in rows)
    values = {row.path: row.value for row in rows}
    assert values["gate.database"] == "mysql+pymysql://root:***@127.0.0.1/"
    assert values["driver.neutron_config.a.ini.b.user_secret"] == "{secret.lab}"
    assert values["secrets[0].environment"] == "LAB_PASSWORD"


def test_a_stage_started_by_a_stage_loads_the_same_settings(config: Path, tmp_path: Path) -> None:
    config.write_text(SMALL + "secrets: [{name: lab, environment: LAB_PASSWORD}]\n")
    environment = {**ENVIRONMENT, "CI_GATE_HANG_SECONDS": "9", "LAB_PASSWORD": "x", "GERRIT_PASSWORD": "y"}
    flags = {"gate.shards": 2, "gate.packages": ("a>=1,<2", "b"), "cache_dir": tmp_path, "tempest.regex": None}
    settings = load_settings(config, flags=flags, environment=environment)
    passed = command_environment(environment, stage_environment(settings, flags=flags, environment=environment))
    assert load_settings(None, environment=passed) == settings
    assert secret_values(settings, passed) == {"lab": "x"}
    assert "GERRIT_PASSWORD" not in passed


def test_programs_see_an_allow_list() -> None:
    passed = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "http_proxy", "NO_PROXY", "UV_CACHE_DIR", "CI"]
    passed += ["PIP_INDEX_URL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"]
    passed += ["LD_PRELOAD", "FAKETIME", "FAKETIME_SHARED", "WORKSPACE", "BUILD_NUMBER", "JOB_NAME", "CI_RUN_ID"]
    kept_back = ["GERRIT_EVENT_COMMENT_TEXT", "ZUUL_REF", "OS_PASSWORD", "AWS_SECRET_ACCESS_KEY", "UV_PUBLISH_TOKEN"]
    kept_back += ["BUILD_TOKEN", "PIP_PASSWORD", "PYTHONPATH", "VIRTUAL_ENV", "BASH_ENV", "GIT_SSH_COMMAND", "PATH "]
    kept_back += ["SSH_AUTH_SOCK"]
    environment = dict.fromkeys([*passed, *kept_back], "x")
    assert command_environment(environment) == dict.fromkeys(passed, "x")
    assert command_environment(environment, {"PATH": "y"})["PATH"] == "y"


def test_the_environment_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_GATE_SHARDS", "4")
    environment = settings_module.read_environment()
    assert environment["CI_GATE_SHARDS"] == "4"
    environment["CI_GATE_SHARDS"] = "5"
    assert settings_module.read_environment()["CI_GATE_SHARDS"] == "4"


def test_the_cache_is_where_the_desktop_specification_says(config: Path) -> None:
    here = load_settings(config, environment={**ENVIRONMENT, "XDG_CACHE_HOME": "/var/cache/x"})
    assert here.cache_dir == Path("/var/cache/x/openstack-driver-ci")
    ignored = load_settings(config, environment={**ENVIRONMENT, "XDG_CACHE_HOME": "relative"})
    assert ignored.cache_dir == Path("/home/jenkins/.cache/openstack-driver-ci")


def test_editors_get_a_schema_that_asks_for_what_is_required() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["required"] == ["name", "wiki", "driver"]
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["Gate"]["properties"]) >= {"kind", "shards", "database", "constraints"}


_KEYS = st.sampled_from(["name", "gate", "driver", "services", "probes", "secrets", "tempest", "projects", "shards"])
_KEYS |= st.sampled_from(["config", "neutron_config", "command", "url", "file", "regex", "project", "patches", "a/b"])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["{", "{port}", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(_KEYS, _VALUES, min_size=1))
def test_whatever_the_file_holds_ends_as_one_error_with_lines(config: Path, data: dict[str, Any]) -> None:
    config.write_text(json.dumps(data))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, environment=ENVIRONMENT)
    assert caught.value.what.startswith((f"{config}:1: ", f"{config} has "))


def test_importing_the_module_loads_neither_pydantic_nor_yaml() -> None:
    code = "import ci_scripts.settings, ci_scripts.change, sys; print('pydantic' in sys.modules, 'yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
