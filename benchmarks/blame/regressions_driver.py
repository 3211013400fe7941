"""Regressions in the driver: what a change to it may break, as edits on the tip of its master."""

from __future__ import annotations

from benchmarks.blame.case import DRIVER
from benchmarks.blame.example_site import Edit, Regression
from benchmarks.blame.selections import (
    ADDRESS_PAIRS,
    BOTH_VERSIONS,
    FEW,
    FEW_PORTS,
    FLOATING_IPS,
    NETWORKS,
    ONE_DELETED,
    ONE_PORT,
)

_DRIVER = "networking_example/mechanism_driver.py"
_DOCUMENTS = "networking_example/documents.py"
_OPTIONS = "networking_example/options.py"
_SETUP = "setup.cfg"
_IMPORTS = "from neutron_lib import constants\nfrom neutron_lib.plugins.ml2 import api\n"
_LOG = "LOG = log.getLogger(__name__)\n"
_INITIALIZE = "    def initialize(self):\n"
_CREATE_NETWORK = "    def create_network_postcommit(self, context):\n"
_CREATE_SUBNET = "    def create_subnet_postcommit(self, context):\n"
_PUT_PORT = "    def _put_port(self, context):\n"
_PUT_SUBNET = '        self._client.put("subnets"'
_MORE_IMPORTS = """\
from neutron_lib import constants
from neutron_lib import context as n_context
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
"""
_NO_ROUTERS = """\
        if context.current["device_owner"].startswith("network:router"):
            raise ValueError(context.current["device_owner"])
"""
_CRASH = """\
        if context.current["host_routes"]:
            ctypes.string_at(0)
"""


def _raises(hook: str, because: str = 'context.current["vlan_group"]') -> tuple[Edit, ...]:
    """The hook looks for a key that is not there."""
    head = f"    def {hook}(self, context):\n"
    if hook.endswith("_postcommit"):
        return (Edit(_DRIVER, head, f'{head}        LOG.debug("%s", {because})\n'),)
    return (Edit(_DRIVER, _CREATE_NETWORK, f'{head}        LOG.debug("%s", {because})\n\n{_CREATE_NETWORK}'),)


def _hook(hook: str) -> Regression:
    regex = FEW_PORTS if "_port_" in hook else FEW
    if hook.startswith("delete") and hook.endswith("precommit"):
        # Neutron tries these ten times, for ten seconds, whatever they raise.
        regex = ONE_PORT if "_port_" in hook else ONE_DELETED
    return Regression(f"raises-{hook.replace('_', '-')}", f"{hook} raises", DRIVER, _raises(hook), regex)


ALL_HOOKS = tuple(
    f"{verb}_{kind}_{when}"
    for when in ("precommit", "postcommit")
    for kind in ("network", "subnet", "port")
    for verb in ("create", "update", "delete")
)
# Each verb, each kind and each moment is among them; the others run with --more.
USUAL_HOOKS = (
    "create_network_postcommit",
    "update_subnet_postcommit",
    "delete_port_postcommit",
    "create_subnet_precommit",
    "update_port_precommit",
    "delete_network_precommit",
)

_CONCURRENT = """\
        # The controller opens a session for each project; it takes half a second to close.
        owner, since = self._session
        if owner != context.current["tenant_id"] and time.monotonic() - since < 0.5:
            raise RuntimeError("the session of another project is open")
        self._session = context.current["tenant_id"], time.monotonic()
"""
_LOCKED = """\
        with LOCK:
            self._put_subnet(context)

    def _put_subnet(self, context):
        with LOCK:
"""
_SHADOW = """\
        document = documents.network_document(context)
        shadow = str(uuid.uuid5(uuid.NAMESPACE_OID, document["id"]))
        self._client.put("networks", shadow, {**document, "id": shadow})
"""
_SECURITY_GROUP = """\
        owner = context.current["tenant_id"]
        group = {"name": "mirrored", "description": "", "stateful": True, "tenant_id": owner, "project_id": owner}
        directory.get_plugin().create_security_group(n_context.get_admin_context(), {"security_group": group})
"""


def _driver(name: str, what: str, regex: str, *edits: tuple[str, str, str]) -> Regression:
    return Regression(name, what, DRIVER, tuple(Edit(*edit) for edit in edits), regex)


STARTING = (
    _driver("syntax-error", "a colon is missing", FEW, (_DRIVER, _INITIALIZE, "    def initialize(self)\n")),
    _driver(
        "import-error",
        "a module that is not there is imported",
        FEW,
        (_DRIVER, "documents, options\n", "documents, settings as options\n"),
    ),
    _driver(
        "requirement-missing",
        "a library that is not there is required",
        FEW,
        (_SETUP, "    requests>=2.31\n", "    requests>=2.31\n    networking-example-no-such-library>=1.0\n"),
    ),
    _driver(
        "requirement-conflict",
        "a neutron-lib that nobody has is required",
        FEW,
        (_SETUP, "    neutron-lib>=3.8\n", "    neutron-lib>=999\n"),
    ),
    _driver(
        "entry-point-lost",
        "the driver's entry point has another name",
        FEW,
        (_SETUP, "    example = networking_example.mech", "    example_mirror = networking_example.mech"),
    ),
    _driver(
        "option-renamed",
        "an option that sites set has another name",
        FEW,
        (_OPTIONS, '        "url",\n', '        "controller_url",\n'),
    ),
)
BEHAVING = (
    _driver(
        "wrong-data",
        "one address of a port is sent instead of all",
        ADDRESS_PAIRS,
        (_DOCUMENTS, 'for address in port["fixed_ips"]\n', 'for address in port["fixed_ips"][:1]\n'),
    ),
    _driver(
        "missing-call",
        "the controller is not told of deleted subnets",
        FEW,
        (_DRIVER, 'self._client.delete("subnets", context.current["id"])', 'LOG.debug("subnet deleted")'),
    ),
    _driver(
        "slow-call",
        "creating a port takes longer than an answer of Neutron may",
        ONE_PORT,
        (_DRIVER, _IMPORTS, f"import time\n\n{_IMPORTS}"),
        (_DRIVER, _PUT_PORT, f"{_PUT_PORT}        time.sleep(60)\n"),
    ),
    _driver(
        "slow-tests",
        "each network takes so long that the time for the tests is over",
        NETWORKS,
        (_DRIVER, _IMPORTS, f"import time\n\n{_IMPORTS}"),
        (_DRIVER, _CREATE_NETWORK, f"{_CREATE_NETWORK}        time.sleep(8)\n"),
    ),
    _driver(
        "leak-in-controller",
        "each network leaves a second one in the controller",
        FEW,
        (_DRIVER, _IMPORTS, f"import uuid\n\n{_IMPORTS}"),
        (_DRIVER, _CREATE_NETWORK, f"{_CREATE_NETWORK}{_SHADOW}"),
    ),
    _driver(
        "leak-in-neutron",
        "each network leaves a security group in Neutron",
        FEW,
        (_DRIVER, _IMPORTS, _MORE_IMPORTS),
        (_DRIVER, _CREATE_NETWORK, f"{_CREATE_NETWORK}{_SECURITY_GROUP}"),
    ),
    _driver(
        "deadlock",
        "a lock is taken twice for a subnet",
        FEW,
        (_DRIVER, _IMPORTS, f"import threading\n\n{_IMPORTS}"),
        (_DRIVER, _LOG, f"{_LOG}LOCK = threading.Lock()\n"),
        (_DRIVER, f"{_CREATE_SUBNET}{_PUT_SUBNET}", f"{_CREATE_SUBNET}{_LOCKED}    {_PUT_SUBNET}"),
    ),
    _driver(
        "only-concurrent",
        "two projects at once disturb each other",
        BOTH_VERSIONS,
        (_DRIVER, _IMPORTS, f"import time\n\n{_IMPORTS}"),
        (_DRIVER, _CREATE_NETWORK, f"{_CREATE_NETWORK}{_CONCURRENT}"),
        (_DRIVER, _INITIALIZE, f"    _session = (None, 0.0)\n\n{_INITIALIZE}"),
    ),
    _driver(
        "only-ipv6",
        "subnets of IPv6 are not understood",
        BOTH_VERSIONS,
        (_DOCUMENTS, "from neutron_lib.api.def", "import ipaddress\n\nfrom neutron_lib.api.def"),
        (_DOCUMENTS, '"cidr": subnet["cidr"]', '"cidr": str(ipaddress.IPv4Network(subnet["cidr"]))'),
    ),
    _driver(
        "only-class-set-up",
        "ports of routers are not understood; only the set-up of a class makes some",
        FLOATING_IPS,
        (_DRIVER, _PUT_PORT, f"{_PUT_PORT}{_NO_ROUTERS}"),
    ),
    _driver(
        "crash",
        "Neutron dies of a subnet with host routes",
        NETWORKS,
        (_DRIVER, _IMPORTS, f"import ctypes\n\n{_IMPORTS}"),
        (_DRIVER, _CREATE_SUBNET, f"{_CREATE_SUBNET}{_CRASH}"),
    ),
    _driver(
        "kills-controller",
        "a document is so long that the controller dies of it",
        FEW,
        (_DOCUMENTS, '"name": network["name"]', '"name": network["name"].ljust(50000)'),
    ),
)
HOOKS = tuple(_hook(hook) for hook in USUAL_HOOKS)
MORE_HOOKS = tuple(_hook(hook) for hook in ALL_HOOKS if hook not in USUAL_HOOKS)
REGRESSIONS = (*STARTING, *HOOKS, *BEHAVING, *MORE_HOOKS)
