"""local.conf against golden files, and what is refused because DevStack would read something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.devstack import local_conf
from ci_scripts.settings import load_settings
from tests.gates.devstack.made_runs import DRIVER, PASSWORDS, made_context

GOLDEN = Path(__file__).parents[2] / "golden_local_conf"
CONTROLLER = 'services: [{name: controller, command: ["true"]}]\n'
NEUTRON_CONFIG = """\
  neutron_config:
    ml2_conf.ini:
      ml2: {mechanism_drivers: "logger,example"}
      ml2_example: {url: "{service.controller.url}", timeout: 10}
"""
DRIVER_CHANGE = "gate: {kind: devstack}\n" + CONTROLLER + DRIVER + NEUTRON_CONFIG
NEUTRON_CHANGE = (
    "gate: {kind: devstack, service_plugins: [router, qos, trunk]}\n"
    "projects:\n"
    "  openstack/neutron: {url: https://git.example.org/openstack/neutron}\n"
    "  openstack/neutron-lib: {url: https://git.example.org/openstack/neutron-lib}\n"
    "  openstack/oslo.config: {url: https://git.example.org/openstack/oslo.config}\n"
    + CONTROLLER
    + DRIVER
    + NEUTRON_CONFIG
)
AGENTS = (
    r"""
gate:
  kind: devstack
  devstack:
    base: /srv/stack
    services: [key, mysql, rabbit, q-svc, q-agt, q-dhcp, q-l3, q-meta, tempest]
    plugins: [{name: neutron-tempest-plugin, url: https://git.example.org/openstack/neutron-tempest-plugin}]
    localrc: {FORCE: "yes", NETWORK_GATEWAY: 10.1.0.1, MESSAGE: "two words, $HOME and 'quotes'"}
secrets: [{name: lab, environment: LAB_PASSWORD}]
"""
    + DRIVER
    + r"""
  neutron_config:
    neutron.conf:
      DEFAULT: {service_plugins: "router,example_l3", debug: true}
    dhcp_agent.ini:
      DEFAULT: {enable_isolated_metadata: true}
    example_driver.ini:
      ml2_example: {username: ci, password: "{secret.lab}", path: 'C:\lab', url: "https://lab.example.org/?a=b&c=d",
        note: ""}
    ml2_conf.ini:
      ml2: {mechanism_drivers: "openvswitch, example"}
      ml2_example: {retries: 3}
"""
)
OVN = (
    "gate:\n  kind: devstack\n  devstack:\n"
    "    services: [key, mysql, rabbit, q-svc, q-ovn-agent, ovn-controller, ovn-northd, ovs-vswitchd, ovsdb-server,"
    " g-api, tempest]\n" + DRIVER
)
FIXED = {"example/networking-example": "master"}
CASES = {
    "driver-change": (DRIVER_CHANGE, FIXED, {}),
    "neutron-change": (
        NEUTRON_CHANGE,
        {
            "openstack/neutron": "stable/2026.1",
            "openstack/neutron-lib": "stable/2026.1",
            "openstack/oslo.config": "master",
            "example/networking-example": "ci-pinned",
        },
        {},
    ),
    "agents": (AGENTS, FIXED, {"LAB_PASSWORD": 'p$w"`x'}),
    "ovn": (OVN, FIXED, {}),
    "devstack-gate": (DRIVER_CHANGE.replace("kind: devstack", "kind: devstack-gate"), FIXED, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_whole_file(name: str, tmp_path: Path) -> None:
    more, branches, secrets = CASES[name]
    golden = GOLDEN / f"{name}.conf"
    assert golden.is_file(), f"{golden} is missing: look at what is rendered and write it by hand"

    made = local_conf.local_conf(made_context(tmp_path, more, branches, secrets))

    assert made == golden.read_text()


def test_no_golden_file_is_left_that_no_case_makes() -> None:
    assert {path.stem for path in GOLDEN.glob("*")} == set(CASES)


def options(text: str) -> str:
    return f"gate: {{kind: devstack}}\n{DRIVER}  neutron_config: {{ml2_conf.ini: {text}}}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r'{ml2: {x: "a\n[DEFAULT]"}}', "a line break"),
        (r'{ml2: {x: "a\rb"}}', "a line break"),
        (r'{ml2: {x: "a\u0007b"}}', "a control character"),
        ('{ml2: {x: "a  b"}}', "one blank of several"),
        ('{ml2: {x: " a"}}', "none at the ends"),
        ('{ml2_type_flat: {flat_networks: "*"}}', "names of files in place of *"),
        ('{ml2: {x: "[abc]"}}', "names of files in place of [abc]"),
        ('{ml2: {x: "-n word"}}', "an option of echo"),
        ('{"ml2]": {x: a}}', "no plain name of a section"),
        ('{"ml2 x": {x: a}}', "no plain name of a section"),
        ('{"[local|localrc]": {x: a}}', "no plain name of a section"),
        ('{ml2: {"x;reboot": a}}', "no plain name of an option"),
        ('{ml2: {"x=y": a}}', "no plain name of an option"),
        ('{ml2: {"$(reboot)": a}}', "no plain name of an option"),
    ],
)
def test_options_that_would_not_arrive_are_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        local_conf.local_conf(made_context(tmp_path, options(text), FIXED))

    assert why in str(caught.value)
    assert "neutron_config" in str(caught.value)


def test_a_line_break_in_a_variable_is_refused(tmp_path: Path) -> None:
    more = 'gate: {kind: devstack, devstack: {localrc: {NAME: "a\\n[[post-config|x]]"}}}\n' + DRIVER

    with pytest.raises(ConfigurationError, match="cannot stand in local.conf"):
        local_conf.local_conf(made_context(tmp_path, more, FIXED))


def test_an_address_that_only_a_running_openstack_has_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown placeholder {neutron.url}"):
        local_conf.local_conf(made_context(tmp_path, options('{ml2_example: {url: "{neutron.url}"}}'), FIXED))


def test_a_project_that_this_devstack_does_not_install_is_refused(tmp_path: Path) -> None:
    more = (
        DRIVER_CHANGE + "projects: {openstack/neutron-fwaas: {url: https://git.example.org/openstack/neutron-fwaas}}\n"
    )
    context = made_context(tmp_path, more, {"openstack/neutron-fwaas": "master", **FIXED})

    with pytest.raises(ConfigurationError, match=r"installs no neutron-fwaas.*gate\.devstack\.plugins"):
        local_conf.require_installable(context)


def test_it_may_be_a_plugin_whose_tree_is_there(tmp_path: Path) -> None:
    plugin = "{name: neutron-fwaas, url: https://git.example.org/openstack/neutron-fwaas}"
    more = f"gate: {{kind: devstack, devstack: {{plugins: [{plugin}]}}}}\n{DRIVER}"
    context = made_context(tmp_path, more, {"openstack/neutron-fwaas": "master", **FIXED})

    lines = local_conf.localrc(context).splitlines()

    assert "enable_plugin neutron-fwaas https://git.example.org/openstack/neutron-fwaas master" in lines
    assert not any("FWAAS" in line for line in lines)


def test_a_driver_from_a_package_index_is_no_plugin(tmp_path: Path) -> None:
    more = "gate: {kind: devstack}\ndriver: {project: example/networking-example, package: networking-example}\n"
    context = made_context(tmp_path, more, {"openstack/neutron": "master"})

    with pytest.raises(ConfigurationError, match=r"plug-in from git.*driver\.source"):
        local_conf.require_installable(context)


def test_the_drivers_plugin_is_enabled_once(tmp_path: Path) -> None:
    plugin = "{name: networking-example, url: https://git.example.org/x}"
    more = f"gate: {{kind: devstack, devstack: {{plugins: [{plugin}]}}}}\n{DRIVER}"

    with pytest.raises(ConfigurationError, match="the driver's own plug-in"):
        local_conf.localrc(made_context(tmp_path, more, FIXED))


def test_a_driver_without_a_plugin_would_not_be_installed(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"no devstack/plugin\.sh"):
        local_conf.require_plugin(made_context(tmp_path, DRIVER_CHANGE, FIXED))


def test_every_password_is_set_so_that_devstack_asks_for_none(tmp_path: Path) -> None:
    lines = local_conf.localrc(made_context(tmp_path, DRIVER_CHANGE, FIXED)).splitlines()

    assert {f"{name}={value}" for name, value in PASSWORDS.items()} <= set(lines)


def test_the_example_for_an_operator_is_whole() -> None:
    examples = Path(__file__).parents[3] / "examples"

    settings = load_settings(examples / "ci-devstack.yaml", environment={"HOME": "/nonexistent"})

    assert settings.gate.kind == "devstack"
    assert set(settings.gate.devstack.services) >= {"key", "q-svc", "tempest"}
    assert (examples / "networking-example" / "devstack" / "plugin.sh").is_file()
    words = [word for service in (*settings.services, *settings.checks) for word in service.command]
    programs = [word.removeprefix("{config_dir}/") for word in words if word.startswith("{config_dir}/")]
    assert programs and all((examples / program).is_file() for program in programs)
