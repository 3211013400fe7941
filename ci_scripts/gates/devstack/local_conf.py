"""local.conf: what DevStack is to install and how, from ci.yaml and the run's checkouts.

The part ``[[local|localrc]]`` is sourced by bash, so every value is quoted for a shell; for the ``[[post-config|...]]``
sections see `meta_config`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import stacked
from ci_scripts.gates.devstack.meta_config import section_lines
from ci_scripts.gates.devstack.passwords import read_passwords
from ci_scripts.gates.devstack.project_variables import Variables, project_lines, short_name
from ci_scripts.placeholders import fill

# lib/neutron's variables of its files. Everything else is an option of the server's (or of the agents that read the
# plug-in's file): the API server, a WSGI application, reads neutron.conf and ml2_conf.ini only.
CONFIG_FILES = {
    "neutron.conf": "$NEUTRON_CONF",
    "dhcp_agent.ini": "$Q_DHCP_CONF_FILE",
    "l3_agent.ini": "$Q_L3_CONF_FILE",
    "metadata_agent.ini": "$Q_META_CONF_FILE",
}
PLUGIN_FILE = "/$Q_PLUGIN_CONF_FILE"
OVN_SERVICES = ("ovn-northd", "ovn-controller", "q-ovn-agent", "q-ovn-metadata-agent")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def local_conf(context: GateContext) -> str:
    """The whole file. Raises ConfigurationError for what cannot be written so that DevStack reads what was meant."""
    parts = [f"[[local|localrc]]\n{localrc(context)}", post_config(context)]
    return "\n".join(part for part in parts if part)


def localrc(context: GateContext, base: Path | None = None) -> str:
    """The lines below ``[[local|localrc]]``. ``base`` is DEST, by default ``gate.devstack.base``.

    On the kind devstack-gate the wrapper itself writes the node's part (DEST, passwords, services, repositories); the
    driver's part is left.
    """
    dest = base or context.settings.gate.devstack.base
    lines = []
    if context.settings.gate.kind == "devstack":
        lines = [*_node_lines(context, dest), *_project_lines(context, dest)]
    lines += [*_plugin_lines(context, dest), *_neutron_lines(context)]
    own = context.settings.gate.devstack.localrc
    if own:
        lines += ["# gate.devstack.localrc", *(_assignment(name, value) for name, value in own.items())]
    return "\n".join(lines) + "\n"


def post_config(context: GateContext) -> str:
    """``driver.neutron_config`` as sections that DevStack merges into Neutron's files after its own configuration.

    Placeholders are filled; those that only a running OpenStack could fill are unknown here.
    """
    values = stacked.placeholders(context)[0]
    files: dict[str, dict[str, dict[str, str]]] = {}
    for file, sections in sorted(context.settings.driver.neutron_config.items()):
        target = files.setdefault(CONFIG_FILES.get(Path(file).name, PLUGIN_FILE), {})
        for section, options in sections.items():
            filled = {option: fill(value, values) for option, value in options.items()}
            target.setdefault(section, {}).update(filled)
    text = []
    for heading, content in sorted(files.items()):
        text += [f"[[post-config|{heading}]]", *section_lines(content, heading), ""]
    return "\n".join(text)


def require_installable(context: GateContext) -> None:
    """Raises ConfigurationError for what this DevStack could not install: known as soon as it is cloned."""
    base = context.settings.gate.devstack.base
    _project_lines(context, base)
    _plugin_lines(context, base)


def require_plugin(context: GateContext) -> None:
    """Raises InfrastructureError where the driver's tree is no DevStack plug-in: DevStack would not install it."""
    tree = context.checkouts[context.settings.driver.project]
    if not (tree / "devstack" / "plugin.sh").is_file():
        raise InfrastructureError(
            f"the driver {context.settings.driver.project} has no devstack/plugin.sh: DevStack would not install it.",
            next_step="add one to the driver's repository (DevStack's documentation, 'Plugins').",
        )


def driver_name(context: GateContext) -> str:
    """The name of the driver's DevStack plug-in, which is that of its tree in DEST."""
    return short_name(context.settings.driver.project)


def _node_lines(context: GateContext, dest: Path) -> list[str]:
    wanted = context.settings.gate.devstack
    lines = [
        "# Written by ci-install-driver; each run writes it anew.",
        _assignment("DEST", str(dest)),
        _assignment("LOGFILE", f"{dest}/logs/stack.sh.log"),
        "LOGDAYS=1",
        "LOG_COLOR=False",
        "VERBOSE=True",
        "# The trees under test lie in DEST; nothing may be fetched over them.",
        "RECLONE=False",
        *(_assignment(name, value) for name, value in sorted(read_passwords(context).items())),
        "disable_all_services",
        f"enable_service {' '.join(wanted.services)}",
    ]
    if "g-api" not in wanted.services:
        lines.append("DOWNLOAD_DEFAULT_IMAGES=False")
    if "n-api" not in wanted.services:
        # Neutron would look for Nova's endpoint at each change of a port.
        lines += ["Q_NOTIFY_NOVA_PORT_STATUS_CHANGES=False", "Q_NOTIFY_NOVA_PORT_DATA_CHANGES=False"]
    if not set(OVN_SERVICES) & set(wanted.services):
        # DevStack's default agent is OVN's, which would be built from source although nobody starts it.
        lines += ["Q_AGENT=openvswitch", "Q_ML2_TENANT_NETWORK_TYPE=vxlan"]
    return lines


def _project_lines(context: GateContext, dest: Path) -> list[str]:
    stackrc = devstack_checkout(context) / "stackrc"
    try:
        variables = Variables.of_stackrc(stackrc.read_text(errors="replace"))
    except OSError as error:
        raise ConfigurationError(f"{stackrc} cannot be read: {error.strerror}.") from error
    driver = context.settings.driver.project
    branches = {name: _branch(entry) for name, entry in context.run["checkouts"].items() if name != driver}
    plugins = [plugin.name for plugin in context.settings.gate.devstack.plugins]
    return project_lines(variables, branches, plugins, dest)


def devstack_checkout(context: GateContext) -> Path:
    """The run's own clone of DevStack, which prepare-gate made."""
    return context.workspace.gate_dir / "devstack"


def _plugin_lines(context: GateContext, dest: Path) -> list[str]:
    name, driver = driver_name(context), context.settings.driver
    checkout = context.run["checkouts"].get(driver.project)
    if checkout is None:
        raise ConfigurationError(
            f"DevStack installs a driver as a plug-in from git, but {driver.project} has no checkout.",
            next_step="give driver.source and driver.ref in ci.yaml instead of driver.package.",
        )
    lines = [_plugin_line(name, str(dest / name), _branch(checkout))]
    for plugin in context.settings.gate.devstack.plugins:
        if plugin.name == name:
            raise ConfigurationError(
                f"gate.devstack.plugins names {name}, which is the driver's own plug-in.",
                next_step="take it out there: the driver's plug-in is enabled anyway.",
            )
        lines.append(_plugin_line(plugin.name, plugin.url, plugin.ref))
    return lines


def _neutron_lines(context: GateContext) -> list[str]:
    lines = []
    drivers = stacked.configured_drivers(context)
    if drivers:
        lines.append(_assignment("Q_ML2_PLUGIN_MECHANISM_DRIVERS", ",".join(drivers)))
    plugins = _service_plugins(context)
    if plugins:
        # DevStack writes service_plugins after the post-config sections, and adds ML2_L3_PLUGIN where it is missing.
        lines.append(_assignment("Q_SERVICE_PLUGIN_CLASSES", ",".join(plugins)))
        lines.append(_assignment("ML2_L3_PLUGIN", plugins[0]))
    return lines


def _service_plugins(context: GateContext) -> list[str]:
    text = context.settings.driver.neutron_config.get("neutron.conf", {}).get("DEFAULT", {}).get("service_plugins", "")
    configured = [name.strip() for name in text.split(",") if name.strip()]
    return configured or list(context.settings.gate.service_plugins or ())


def _plugin_line(name: str, url: str, ref: str) -> str:
    return " ".join(["enable_plugin", *map(_quoted, (name, url, ref))])


def _branch(checkout: Mapping[str, object]) -> str:
    return str(checkout["branch"])


def _assignment(name: str, value: str) -> str:
    return f"{name}={_quoted(value)}"


def _quoted(value: str) -> str:
    if _CONTROL.search(value):
        raise ConfigurationError(
            f"{value!r} has a line break or a control character and cannot stand in local.conf.",
            next_step="see gate.devstack in ci.yaml.",
        )
    return shlex.quote(value)
