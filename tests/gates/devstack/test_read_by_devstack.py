"""What we render, read by the programs that read it: bash, and DevStack's own functions where DEVSTACK_REFERENCE names
a DevStack (it is not fetched for the tests)."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci_scripts.gates.devstack import local_conf
from ci_scripts.gates.devstack.project_variables import Variables
from tests.gates.devstack.made_runs import DRIVER, made_context

FIXED = {"example/networking-example": "master"}
# Everything that some part of the way gives a meaning to, and that can be escaped.
VALUES = {
    "plain": "logger,example",
    "address": "http://127.0.0.1:8181/v1?a=b&c=d#e",
    "six": "http://[::1]:8181/",
    "dollar": "p$HOME$(id)${PATH}",
    "quotes": 'it\'s "quoted"',
    "backquote": "a`id`b",
    "backslash": "C:\\new\\tab \\\\server",
    "sed": "a/b|c&d\\1",
    "hash": "a#b ; c",
    "equals": "a=b = c",
    "braces": "{a,b} ~ !x",
    "percent": "%(asctime)s %s",
    "empty": "",
    "number": "0010",
}
MERGE = """\
set -e
STACK_USER=$(id -un)
die() { echo "$*" >&2; exit 1; }
warn() { echo "$*" >&2; }
source "$1/inc/ini-config"
source "$1/inc/meta-config"
NEUTRON_CONF=$3/neutron.conf
Q_PLUGIN_CONF_FILE=${3#/}/ml2_conf.ini
mkdir -p "$3"
printf '[DEFAULT]\\ndollar = old\\n[ml2]\\nbackslash = old\\n' > "$NEUTRON_CONF"
cp "$NEUTRON_CONF" "/$Q_PLUGIN_CONF_FILE"
merge_config_group "$2" post-config
"""


@pytest.fixture
def devstack() -> Path:
    folder = os.environ.get("DEVSTACK_REFERENCE")
    if not folder:
        pytest.skip("DEVSTACK_REFERENCE names no DevStack")
    return Path(folder)


def test_devstack_writes_every_value_as_ci_yaml_has_it(devstack: Path, tmp_path: Path) -> None:
    # Braces are doubled: single ones are placeholders in ci.yaml.
    options = yaml_plain({name: re.sub(r"([{}])", r"\1\1", value) for name, value in VALUES.items()})
    more = (
        f"gate: {{kind: devstack}}\n{DRIVER}  neutron_config:\n"
        f"    neutron.conf:\n      DEFAULT: {options}\n"
        f"    ml2_conf.ini:\n      ml2: {options}\n      ml2_example: {options}\n"
    )
    file = tmp_path / "local.conf"
    file.write_text(local_conf.local_conf(made_context(tmp_path / "made", more, FIXED)))

    subprocess.run(
        ["bash", "-c", MERGE, "merge", str(devstack), str(file), str(tmp_path / "etc")],
        check=True,
        cwd=devstack,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )

    for name, sections in (("neutron.conf", ("DEFAULT",)), ("ml2_conf.ini", ("ml2", "ml2_example"))):
        parser = configparser.RawConfigParser(default_section="none", delimiters=("=",))
        parser.read(tmp_path / "etc" / name)
        for section in sections:
            assert {option: parser.get(section, option) for option in VALUES} == VALUES


def test_devstack_takes_the_lines_of_localrc_as_they_are(devstack: Path, tmp_path: Path) -> None:
    text = local_conf.local_conf(made_context(tmp_path, f"gate: {{kind: devstack}}\n{DRIVER}", FIXED))
    (tmp_path / "local.conf").write_text(text)
    script = 'source "$1/inc/meta-config"; extract_localrc_section local.conf localrc .localrc.auto; cat .localrc.auto'

    done = subprocess.run(
        ["bash", "-c", script, "extract", str(devstack)],
        check=True,
        cwd=tmp_path,
        timeout=60,
        capture_output=True,
        text=True,
    )

    lines = text.partition("[[post-config")[0].splitlines()[1:]
    assert [line for line in done.stdout.splitlines()[1:] if line] == [line for line in lines if line]


def test_the_variables_of_a_real_stackrc_are_found(devstack: Path) -> None:
    variables = Variables.of_stackrc((devstack / "stackrc").read_text())

    assert variables.servers["neutron"] == "NEUTRON"
    assert variables.servers["tempest"] == "TEMPEST"
    assert variables.libraries["oslo.config"] == "OSLOCFG"
    assert variables.libraries["neutron-lib"] == "NEUTRON_LIB"
    assert variables.libraries["python-neutronclient"] == "NEUTRONCLIENT"
    assert "neutron" not in variables.libraries


def test_bash_reads_each_variable_as_ci_yaml_has_it(tmp_path: Path) -> None:
    wanted = {"A": "two  words", "B": "it's $HOME `id`", "C": '"', "D": "a\\b", "E": "*", "F": "yes"}
    more = f"gate: {{kind: devstack, devstack: {{localrc: {yaml_plain(wanted)}}}}}\n{DRIVER}"
    text = local_conf.localrc(made_context(tmp_path / "made", more, FIXED))
    (tmp_path / "localrc").write_text(text)
    functions = 'disable_all_services() { :; }; enable_service() { :; }; enable_plugin() { :; }; source "$1"; '
    script = functions + 'printf "%s\\0" "$A" "$B" "$C" "$D" "$E" "$F"'

    done = subprocess.run(
        ["bash", "-c", script, "read", str(tmp_path / "localrc")],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert done.stdout.split("\0")[:-1] == list(wanted.values())


def yaml_plain(values: dict[str, str]) -> str:
    quoted = (name + ': "' + re.sub(r'(["\\])', r"\\\1", value) + '"' for name, value in values.items())
    return "{" + ", ".join(quoted) + "}"


LOOK = """\
TOP_DIR=$PWD
source "$TOP_DIR/functions"
GetDistro
extract_localrc_section "$TOP_DIR/local.conf" "$TOP_DIR/localrc" "$TOP_DIR/.localrc.auto"
source "$TOP_DIR/stackrc"
echo "= $ENABLED_SERVICES $DEST $LOGDIR $RECLONE"
echo "= $DEVSTACK_PLUGINS ${GITREPO[networking-example]} ${GITBRANCH[networking-example]}"
echo "= $NEUTRON_REPO $NEUTRON_BRANCH ${GITREPO[oslo.config]} ${GITBRANCH[oslo.config]} $LIBS_FROM_GIT"
echo "= $Q_ML2_PLUGIN_MECHANISM_DRIVERS $Q_AGENT $DOWNLOAD_DEFAULT_IMAGES"
"""


def test_devstacks_stackrc_understands_the_whole_of_it(devstack: Path, tmp_path: Path) -> None:
    copy = tmp_path / "devstack"
    shutil.copytree(devstack, copy, symlinks=True)
    more = (
        "gate: {kind: devstack, devstack: {localrc: {HOST_IP: 192.0.2.1}}}\n"
        "projects:\n  openstack/neutron: {url: https://git.example.org/openstack/neutron}\n"
        "  openstack/oslo.config: {url: https://git.example.org/openstack/oslo.config}\n"
        f"{DRIVER}  neutron_config: {{ml2_conf.ini: {{ml2: {{mechanism_drivers: 'logger,example'}}}}}}\n"
    )
    checkouts = {"openstack/neutron": "stable/2026.1", "openstack/oslo.config": "master", **FIXED}
    (copy / "local.conf").write_text(local_conf.local_conf(made_context(tmp_path / "made", more, checkouts)))

    done = subprocess.run(
        ["bash", "-c", LOOK],
        cwd=copy,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(tmp_path)},
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert [line for line in done.stdout.splitlines() if line.startswith("= ")] == [
        "= key,mysql,rabbit,q-svc,tempest /opt/stack /opt/stack/logs False",
        "= ,networking-example /opt/stack/networking-example master",
        "= /opt/stack/neutron stable/2026.1 /opt/stack/oslo.config master oslo.config",
        "= logger,example openvswitch False",
    ], done.stderr
